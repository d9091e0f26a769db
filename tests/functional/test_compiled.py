"""The compiled pipeline is kept while the files it came from have the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

import gitml.project.project as module
from gitml.errors import UsageError
from gitml.project.place import find_place
from gitml.project.project import open_project
from tests.functional.command import Project, new_project

MANIFEST = '[project]\nparams = ["p.toml"]\n[step.a]\nrun = "echo ${{ params.x }}"\n'


def command_of(project: Project) -> str | None:
    opened = open_project(find_place(str(project.path), project.environ), project.environ)
    try:
        return opened.pipeline().steps["a"].commands[0].text
    finally:
        opened.close()


def test_an_unchanged_declaration_is_not_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = new_project(tmp_path, MANIFEST, **{"p.toml": "x = 1\n"})
    compiled: list[str] = []
    compile_anew = module.load

    def load(read):  # type: ignore[no-untyped-def]
        compiled.append("compiled")
        return compile_anew(read)

    monkeypatch.setattr(module, "load", load)
    assert command_of(project) == "echo 1"
    (project.path / "gitml.toml").touch()
    assert command_of(project) == "echo 1"
    assert compiled == ["compiled"]
    project.write("p.toml", "x = 2\n")
    assert command_of(project) == "echo 2"
    assert compiled == ["compiled"] * 2
    project.write("pyproject.toml", '[tool.gitml.step.b]\nrun = "echo"\n')
    with pytest.raises(UsageError, match="declared here and in"):
        command_of(project)
