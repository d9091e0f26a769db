"""`gitml completion`, and what the scripts that it prints ask of `gitml`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.functional.command import GITML, Project
from tests.functional.pipelines import training


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return training(tmp_path)


def completed(project: Project, *words: str) -> list[str]:
    environ = {"_GITML_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    lines = project.gitml(environ=environ).stdout.splitlines()
    return [line.partition(",")[2] for line in lines]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_that_it_can_read(project: Project, shell: str) -> None:
    script = project.gitml("completion", shell).stdout
    assert "_GITML_COMPLETE" in script
    program = shutil.which(shell)
    if program is not None:
        subprocess.run([program, "-n"], input=script.encode(), check=True)


def test_another_shell_is_refused(project: Project) -> None:
    assert "'csh'" in project.gitml("completion", "csh", code=2).stderr


def test_commands_are_completed(project: Project) -> None:
    assert completed(project, "gitml", "re") == ["repro"]
    assert "why" in completed(project, "gitml", "")


def test_steps_are_completed(project: Project) -> None:
    for command in ("why", "show", "repro", "graph", "runs", "accept", "status"):
        assert completed(project, "gitml", command, "tr") == ["train", "train@fold=0", "train@fold=1"], command


def test_options_are_completed(project: Project) -> None:
    assert completed(project, "gitml", "runs", "--so") == ["--sort"]


def test_outside_of_a_project_nothing_is_said_in_the_midst_of_a_line(tmp_path: Path) -> None:
    environ = {
        "PATH": "/usr/bin:/bin",
        "_GITML_COMPLETE": "bash_complete",
        "COMP_WORDS": "gitml why tr",
        "COMP_CWORD": "2",
    }
    done = subprocess.run([GITML], cwd=tmp_path, env=environ, capture_output=True, check=False)
    assert (done.stdout.strip(), done.stderr) == (b"", b"")
