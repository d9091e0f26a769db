"""Several `gitml` at once: no step runs twice, nobody is turned away, and no lock has to be removed by hand."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.functional.command import Project, finish, new_project, wait_until

WIDE = """
[step.slow]
run = "echo slow >> $RAN; sleep 0.5; cat x > slow"
inputs = ["x"]
outputs = ["slow"]
[step.left]
run = "echo left >> $RAN; sleep 0.2; cat slow > left"
inputs = ["slow"]
outputs = ["left"]
[step.right]
run = "echo right >> $RAN; sleep 0.2; cat slow > right"
inputs = ["slow"]
outputs = ["right"]
"""


@pytest.fixture
def wide(tmp_path: Path) -> Project:
    return new_project(tmp_path, WIDE, x="1")


def test_two_runs_of_the_same_project_share_the_work(wide: Project) -> None:
    calls = [wide.start("repro", "--json") for _ in range(2)]
    outcomes = [finish(call).outcomes for call in calls]
    assert sorted(wide.calls()) == ["left", "right", "slow"]
    assert all(set(found.values()) <= {"ran", "fresh"} for found in outcomes)
    assert wide.repro().ran == []


def test_five_runs_of_the_same_project_share_the_work(wide: Project) -> None:
    for call in [wide.start("repro", "-q") for _ in range(5)]:
        finish(call)
    assert sorted(wide.calls()) == ["left", "right", "slow"]


def test_two_runs_with_different_targets_share_what_both_need(wide: Project) -> None:
    left, right = wide.start("repro", "left"), wide.start("repro", "right")
    finish(left)
    finish(right)
    assert sorted(wide.calls()) == ["left", "right", "slow"]


def test_two_worktrees_share_the_work(wide: Project, tmp_path: Path) -> None:
    other = wide.worktree(tmp_path / "other", "-b", "other")
    calls = [wide.start("repro", "--json"), other.start("repro", "--json")]
    first, second = (finish(call) for call in calls)
    assert sorted(wide.calls()) == ["left", "right", "slow"]
    assert sorted([*first.ran, *second.ran]) == ["left", "right", "slow"]
    assert other.read("right") == wide.read("right") == "1"
    assert other.repro().ran == wide.repro().ran == []


def test_who_waits_is_told_for_whom(wide: Project) -> None:
    first = wide.start("repro", "slow")
    wait_until(wide.ran_log.exists, what="the step runs")
    second = wide.gitml("repro", "slow")
    finish(first)
    assert f"waits for process {first.pid} (step slow)" in second.stderr


def test_status_never_waits(tmp_path: Path) -> None:
    project = new_project(tmp_path, '[step.a]\nrun = "echo a >> $RAN; sleep 3; echo 1 > out"\noutputs = ["out"]\n')
    running = project.start("repro")
    wait_until(project.ran_log.exists, what="the step runs")
    began = time.monotonic()
    assert project.states() == {"a": "stale"}
    assert running.poll() is None
    assert time.monotonic() - began < 2.5
    running.send_signal(signal.SIGINT)
    finish(running, code=130)


def test_a_step_that_outlives_a_killed_gitml_is_waited_for(tmp_path: Path) -> None:
    manifest = """
[step.a]
run = "echo start >> $RAN; for i in 1 2 3 4 5 6 7 8; do sleep 0.1; echo $i >> out; done; echo end >> $RAN"
outputs = ["out"]
"""
    project = new_project(tmp_path, manifest)
    first = project.start("repro")
    wait_until(lambda: project.exists("out"), what="the step writes")
    first.kill()
    finish(first, code=-signal.SIGKILL)
    project.repro()
    assert project.calls() == ["start", "end", "start", "end"]
    assert project.read("out") == "1\n2\n3\n4\n5\n6\n7\n8\n"
    assert (project.machine / "failed" / "a" / "out").exists()
    assert project.repro().ran == []


def test_a_killed_gitml_and_its_step_leave_nothing_to_remove(wide: Project) -> None:
    wide.repro()
    wide.calls()
    wide.write("x", "2")
    first = wide.start("repro")
    wait_until(wide.ran_log.exists, what="the step runs")
    children = subprocess.run(["pgrep", "-P", str(first.pid)], capture_output=True, text=True, check=False).stdout
    first.kill()
    finish(first, code=-signal.SIGKILL)
    for child in children.split():
        os.killpg(int(child), signal.SIGKILL)
    again = wide.repro().ran
    assert again[0] == "slow"
    assert sorted(again[1:]) == ["left", "right"]
    assert wide.read("right") == "2"


def test_an_edit_during_a_run_by_another_is_seen(wide: Project) -> None:
    first = wide.start("repro", "slow")
    wait_until(wide.ran_log.exists, what="the step runs")
    finish(first)
    wide.write("x", "2")
    assert wide.repro("slow").ran == ["slow"]
    assert wide.read("slow") == "2"


def test_two_clones_do_not_wait_for_each_other(tmp_path: Path) -> None:
    one, other = new_project(tmp_path / "1", WIDE, x="1"), new_project(tmp_path / "2", WIDE, x="1")
    calls = [one.start("repro"), other.start("repro")]
    for call in calls:
        finish(call)
    assert sorted(one.calls()) == sorted(other.calls()) == ["left", "right", "slow"]
