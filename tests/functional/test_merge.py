"""In the middle of a merge."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.functional.command import Project, new_project

MANIFEST = """
[step.a]
run = 'echo a >> "$RAN"; cat data/x > a'
inputs = ["data"]
outputs = ["a"]
[step.b]
run = 'echo b >> "$RAN"; echo b > b'
outputs = ["b"]
"""


@pytest.fixture
def conflicted(tmp_path: Path) -> Project:
    project = new_project(tmp_path, MANIFEST, data__x="1\n")
    start = project.repo.git("rev-parse", "HEAD")
    project.write("data/x", "2\n")
    ours = project.commit("ours")
    project.repo.git("checkout", "-q", start)
    project.write("data/x", "3\n")
    project.commit("theirs")
    merge = ["git", "merge", "-q", ours]
    assert subprocess.run(merge, cwd=project.path, env=project.repo.environ, check=False).returncode == 1
    return project


def test_a_step_is_not_executed_on_both_sides_of_a_merge(conflicted: Project) -> None:
    called = conflicted.gitml("repro", code=2)
    assert "error: data/x, which step a uses, is in the middle of a merge" in called.stderr
    assert "hint: resolve the conflict" in called.stderr
    assert conflicted.calls() == []


def test_a_step_that_does_not_read_the_conflict_runs(conflicted: Project) -> None:
    assert conflicted.repro("b").ran == ["b"]


def test_it_runs_once_the_conflict_is_resolved(conflicted: Project) -> None:
    conflicted.write("data/x", "5\n")
    conflicted.repo.git("add", "data/x")
    assert sorted(conflicted.repro().ran) == ["a", "b"]
