"""Ctrl-C, a polite kill and a closed terminal: an orderly stop."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.functional.command import Called, Project, finish, new_project, wait_until

STEPS = """
[step.done]
run = "echo done > done"
outputs = ["done"]
[step.long]
run = "sh long.sh"
inputs = ["done"]
outputs = ["long"]
[step.after]
run = "echo after >> $RAN; cp long after"
inputs = ["long"]
outputs = ["after"]
"""
WAIT = "trap 'echo INT >> $RAN; exit 1' INT; echo start >> $RAN; echo partial > long; sleep 30 & wait\n"
STUBBORN = (
    "trap 'echo INT >> $RAN' INT; trap 'echo TERM >> $RAN' TERM; echo start >> $RAN\nwhile :; do sleep 0.1; done\n"
)


def interrupted(project: Project, number: int = signal.SIGINT, *, times: int = 1) -> tuple[Called, float]:
    """Start, send a signal when the long step runs, and give the end with the seconds it took."""
    call = project.start("repro")
    wait_until(lambda: "start" in (project.ran_log.read_text() if project.ran_log.exists() else ""), what="it runs")
    began = time.monotonic()
    for _ in range(times):
        call.send_signal(number)
        time.sleep(0.3 if times > 1 else 0)
    return finish(call, code=130), time.monotonic() - began


def test_ctrl_c_stops_the_step_and_keeps_what_was_finished(tmp_path: Path) -> None:
    project = new_project(tmp_path, STEPS, **{"long.sh": WAIT})
    called, took = interrupted(project)
    assert project.calls() == ["start", "INT"]
    assert took < 5
    assert "interrupted" in called.stdout
    assert project.read("done") == "done\n"
    assert not project.exists("long")
    assert (project.machine / "failed" / "long" / "long").read_text() == "partial\n"


def test_the_next_run_goes_on_where_ctrl_c_stopped(tmp_path: Path) -> None:
    project = new_project(tmp_path, STEPS, **{"long.sh": WAIT})
    interrupted(project)
    project.write("long.sh", "echo whole > long")
    called = project.repro()
    assert called.outcomes == {"done": "fresh", "long": "ran", "after": "ran"}


def test_ctrl_c_brings_the_previous_outputs_back(tmp_path: Path) -> None:
    project = new_project(tmp_path, STEPS, **{"long.sh": "echo whole > long"})
    project.repro()
    project.calls()
    project.write("long.sh", WAIT)
    interrupted(project)
    assert project.read("long") == "whole\n"
    project.write("long.sh", "echo whole > long")
    assert project.repro().ran == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_polite_kill_is_an_orderly_stop_too(tmp_path: Path, number: int) -> None:
    project = new_project(tmp_path, STEPS, **{"long.sh": WAIT})
    interrupted(project, number)
    assert project.calls() == ["start", "INT"]


def test_a_step_that_ignores_signals_is_killed_in_the_end(tmp_path: Path) -> None:
    project = new_project(tmp_path, STEPS, **{"long.sh": STUBBORN})
    _, took = interrupted(project)
    assert project.calls()[:3] == ["start", "INT", "TERM"]
    assert 5 < took < 16


def test_pressing_ctrl_c_again_hurries(tmp_path: Path) -> None:
    project = new_project(tmp_path, STEPS, **{"long.sh": STUBBORN})
    _, took = interrupted(project, times=3)
    assert project.calls()[:3] == ["start", "INT", "TERM"]
    assert took < 5


def test_a_step_is_stopped_while_it_pauses_between_attempts(tmp_path: Path) -> None:
    manifest = '[step.long]\nrun = "echo start >> $RAN; exit 1"\noutputs = ["long"]\nretries = 5\n'
    project = new_project(tmp_path, manifest)
    _, took = interrupted(project)
    assert project.calls() == ["start"]
    assert took < 3


def test_no_process_of_a_step_survives(tmp_path: Path) -> None:
    script = "trap '' INT; (trap '' INT TERM; echo start >> $RAN; exec sleep 97.31) & wait\n"
    project = new_project(tmp_path, STEPS, **{"long.sh": script})
    interrupted(project, times=3)
    time.sleep(0.2)
    assert subprocess.run(["pgrep", "-f", "sleep 97.31"], capture_output=True, check=False).stdout == b""


def test_a_signal_while_another_run_is_waited_for_ends_the_wait(tmp_path: Path) -> None:
    project = new_project(tmp_path, STEPS, **{"long.sh": "echo start >> $RAN; sleep 2; echo 1 > long"})
    first = project.start("repro")
    wait_until(project.ran_log.exists, what="it runs")
    second = project.start("repro")
    time.sleep(0.7)
    began = time.monotonic()
    second.send_signal(signal.SIGINT)
    finish(second, code=130)
    assert time.monotonic() - began < 1
    finish(first)
    assert project.calls() == ["start", "after"]


def test_a_signal_at_any_moment_leaves_a_working_project(tmp_path: Path) -> None:
    project = new_project(tmp_path, STEPS, **{"long.sh": "sleep 0.05; echo whole > long"})
    for number in range(12):
        call = project.start("repro")
        time.sleep(0.03 + 0.02 * number)
        call.send_signal(signal.SIGINT)
        _, errors = call.communicate(timeout=30)
        # before Python has read the handler's line, SIGINT ends it in Python's own way
        assert call.returncode in (0, 130, -signal.SIGINT) or b"KeyboardInterrupt" in errors, errors
    assert project.repro().code == 0
    assert project.read("after") == "whole\n"
    assert list(project.machine.glob("inflight/*")) == list(project.machine.glob("aside/*")) == []
