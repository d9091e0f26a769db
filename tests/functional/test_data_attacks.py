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
