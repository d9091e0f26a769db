"""The project that `gitml demo` writes: complete, standard library alone, and the same to the byte each time."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli
from click.testing import CliRunner, Result

from gitml.cli.demo import PROJECT, command
from gitml.errors import UsageError
from tests.repos import isolated_environ

Table = dict[str, object]


def test_writes_a_clean_repository_with_three_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = _enter(tmp_path, monkeypatch)
    result = _demo("new")
    assert result.exit_code == 0
    assert _git("new", environ, "status", "--porcelain") == ""
    assert _git("new", environ, "log", "--format=%an").split() == ["Ada"] * 3
    written = {str(p.relative_to("new")) for p in Path("new").rglob("*") if p.is_file() and ".git" not in p.parts}
    assert written == set(_git("new", environ, "ls-files").splitlines())
    assert written == {str(p.relative_to(PROJECT)) for p in _shipped()}


def test_prints_commands_that_can_be_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _enter(tmp_path, monkeypatch)
    lines = _demo("two words").output.splitlines()
    assert lines[-3:] == ["  cd 'two words'", "  gitml repro", "  gitml graph"]


def test_commits_without_any_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = _enter(tmp_path, monkeypatch)
    for name in [name for name in os.environ if name.startswith(("GIT_AUTHOR", "GIT_COMMITTER", "EMAIL"))]:
        monkeypatch.delenv(name)
    assert _demo("new").exit_code == 0
    assert _git("new", environ, "log", "-1", "--format=%an <%ae>") == "gitml demo <demo@gitml.invalid>"
    assert "demo" not in (Path("new") / ".git" / "config").read_text(encoding="utf-8")


def test_commits_files_that_the_user_ignores_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = _enter(tmp_path, monkeypatch)
    ignore = Path(environ["HOME"], "ignore")
    ignore.write_text("data/\n*.toml\n", encoding="utf-8")
    _git(".", environ, "config", "--global", "core.excludesFile", str(ignore))
    assert _demo("new").exit_code == 0
    assert "data/wine.csv" in _git("new", environ, "ls-files")


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_refuses_a_place_that_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    _enter(tmp_path, monkeypatch)
    taken = Path("taken")
    mine = taken / "mine.txt" if kind == "folder" else taken
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine", encoding="utf-8")
    error = _demo("taken").exception
    assert isinstance(error, UsageError)
    assert error.exit_code == 2
    assert "gitml demo" in (error.hint or "")
    assert [p.name for p in tmp_path.rglob("*") if p.name == ".git"] == []
    assert mine.read_text(encoding="utf-8") == "mine"


def test_takes_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _enter(tmp_path, monkeypatch)
    Path("empty").mkdir()
    assert _demo("empty").exit_code == 0
    assert Path("empty/gitml.toml").is_file()


def test_steps_write_what_they_declare_and_the_same_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = _enter(tmp_path, monkeypatch)
    _demo("new")
    first = _run_all(Path("new"), environ)
    assert set(first) == {output for _, _, outputs in _instances() for output in outputs}
    assert _run_all(Path("new"), environ) == first
    baseline = json.loads(first["metrics/baseline.json"])["accuracy"]
    best = max(json.loads(data)["accuracy"] for path, data in first.items() if path.startswith("metrics/hidden"))
    assert baseline < 0.8 < 0.9 < best
    assert f"{best:.4f}" in first["report.md"].decode()


def test_evaluation_fails_when_the_baseline_is_as_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = _enter(tmp_path, monkeypatch)
    _demo("new")
    _run_all(Path("new"), environ)
    Path("new/metrics/baseline.json").write_text('{"accuracy": 1.0}', encoding="utf-8")
    done = _step("python3 -m wine.evaluate --hidden 4", Path("new"), environ)
    assert done.returncode == 1
    assert b"does not beat the baseline" in done.stderr


def test_reads_the_parameters_that_a_step_is_handed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = _enter(tmp_path, monkeypatch)
    _demo("new")
    handed = tmp_path / "handed.json"
    handed.write_text(json.dumps({"split": {"seed": 1, "test_share": 0.5}}), encoding="utf-8")
    done = _step("python3 -m wine.prepare", Path("new"), {**environ, "GITML_PARAMS": str(handed)})
    assert done.stdout == b"88 wines to train on, 90 to test on\n"


def test_needs_the_standard_library_alone() -> None:
    imported = {name for path in PROJECT.rglob("*.py") for name in _imports(path)}
    assert "wine" in imported
    assert imported <= sys.stdlib_module_names | {"wine", "tomllib"}  # Python 3.10 does not know tomllib, nor import it


def test_data_names_its_source_and_licence() -> None:
    text = (PROJECT / "data" / "DATA.md").read_text(encoding="utf-8")
    assert "10.24432/C5PC7J" in text
    assert "Creative Commons Attribution 4.0" in text
    assert len((PROJECT / "data" / "wine.csv").read_bytes().splitlines()) == 179


def _enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Go to an empty folder where the process has the settings of nobody but Ada; give that environment."""
    environ = {**isolated_environ(tmp_path.parent / f"{tmp_path.name}-home"), "PYTHONDONTWRITEBYTECODE": "1"}
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return environ


def _demo(folder: str) -> Result:
    return CliRunner().invoke(command, [folder])


def _git(folder: str, environ: dict[str, str], *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=folder, env=environ, capture_output=True, check=True, text=True)
    return done.stdout.strip()


def _shipped() -> list[Path]:
    return [p for p in PROJECT.rglob("*") if p.is_file() and not any("cache" in part for part in p.parts)]


def _instances() -> Iterator[tuple[str, list[str], list[str]]]:
    """Give each step's command, inputs and outputs in the order of the file, which is an order that works."""
    declared: Table = tomli.loads((PROJECT / "gitml.toml").read_text(encoding="utf-8"))["step"]
    for step in declared.values():
        assert isinstance(step, dict)
        for value in step.get("matrix", {}).get("hidden", [None]):
            fill = {"matrix.hidden": str(value)}
            outputs = [out["path"] if isinstance(out, dict) else out for out in step.get("outputs", [])]
            yield (
                _filled(step["run"], fill),
                [_filled(path, fill) for path in step["inputs"]],
                [_filled(path, fill) for path in outputs + step.get("metrics", [])],
            )


def _filled(text: str, values: dict[str, str]) -> str:
    return re.sub(r"\$\{\{ (\S+) \}\}", lambda match: values[match[1]], text)


def _run_all(folder: Path, environ: dict[str, str]) -> dict[str, bytes]:
    """Run every step by hand; what it reads must be there before, what it writes after."""
    made = {}
    for text, inputs, outputs in _instances():
        for path in inputs:
            assert list(folder.glob(path)), f"{text} reads {path}"
        done = _step(text, folder, environ)
        assert done.returncode == 0, os.fsdecode(done.stderr)
        made.update({path: (folder / path).read_bytes() for path in outputs})
    return made


def _step(text: str, folder: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    assert text.startswith("python3 -m ")
    words = [sys.executable, *text.split()[1:]]
    # A module that is started by hand reads params.toml, which takes Python 3.11: hand the values over before that.
    if sys.version_info < (3, 11) and "GITML_PARAMS" not in environ:
        values = folder.resolve().parent / "params.json"
        values.write_text(json.dumps(tomli.loads((PROJECT / "params.toml").read_text(encoding="utf-8"))), "utf-8")
        environ = {**environ, "GITML_PARAMS": str(values)}
    return subprocess.run(words, cwd=folder, env=environ, capture_output=True, check=False)


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]
