"""Raw data in a hostile world: interrupted, out of space, damaged; one clear error each time, and nothing lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.functional.command import Project, new_project
from tests.functional.killing import FaultServer

READ = '[step.s]\nrun = "cat data/* > out"\ninputs = ["data"]\noutputs = ["out"]\n'


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return new_project(tmp_path, READ)


def test_ctrl_c_while_modules_are_loaded_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt\n", encoding="utf-8")
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    called = subprocess.run(
        [sys.executable, "-c", "import gitml.cli"], env=environ, capture_output=True, text=True, check=False
    )
    assert (called.returncode, called.stdout, called.stderr) == (130, "", "")


def test_a_full_disk_says_what_to_do_next(project: Project) -> None:
    project.write("data/big", "x" * 100_000)
    with FaultServer(project.path.parent / "server") as server:
        struck = server.run(project.path, "add", "data", environ=project.environ, fault="ENOSPC", at=1)
    assert struck.code == 1
    assert "hint: make room on the disk, then call gitml again: nothing was lost" in struck.shown


def git_repository(project: Project, path: str) -> Path:
    project.write(f"{path}/clone/file", "x")
    folder = project.path / path / "clone"
    for args in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "precious"]):
        subprocess.run(["git", *args], cwd=folder, env=project.environ, check=True)
    return folder


def rescued_heads(project: Project) -> list[str]:
    found = (project.machine / "rescued").rglob(".git/HEAD")
    return [str(one.parent.parent.name) for one in found]


@pytest.mark.parametrize("option", [(), ("--force",)])
def test_a_git_repository_in_a_source_is_not_deleted_with_it(option: tuple[str, ...], project: Project) -> None:
    clone = git_repository(project, "data")
    project.gitml("add", "data")
    called = project.gitml("rm", "--delete", *option, "data", code=2)
    assert "data/clone/.git" in called.stderr
    assert (clone / ".git/HEAD").exists()


def test_a_git_repository_that_a_checkout_takes_away_is_kept_aside(project: Project) -> None:
    clone = git_repository(project, "data")
    project.gitml("add", "data")
    clone.rename(clone.parent / "other")
    called = project.gitml("checkout", "data")
    assert "data/other" in called.stdout + called.stderr
    assert project.read("data/clone/file") == "x"
    assert not project.exists("data/other")
    assert len(rescued_heads(project)) == 1


def test_the_cache_is_not_mixed_with_the_objects_of_git(project: Project) -> None:
    for folder in ("/", f"{project.path}/.git"):
        called = project.gitml("config", "cache.dir", folder, code=2)
        assert f"cache.dir {folder} is no place for a cache" in called.stderr
