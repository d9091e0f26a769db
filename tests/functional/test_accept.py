"""`gitml accept`: outputs that stand for a key that did not make them, because the user says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.functional.command import Project, finish, new_project, wait_until
from tests.functional.pipelines import change, training

SLOW = """
[step.slow]
run = "echo slow >> $RAN; cat in.txt > out.txt; while test ! -e ../go; do sleep 0.02; done"
inputs = ["in.txt"]
outputs = ["out.txt"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = training(tmp_path)
    project.repro()
    return project


@pytest.fixture
def tainted(tmp_path: Path) -> tuple[Project, str]:
    """A run whose input changed while it ran, and its id."""
    project = new_project(tmp_path, SLOW)
    project.write("in.txt", "first")
    project.commit()
    process = project.start("repro", "--json")
    wait_until(lambda: project.exists("out.txt") and project.read("out.txt") == "first", what="the step runs")
    project.write("in.txt", "second")
    (project.path.parent / "go").write_text("")
    called = finish(process, code=1)
    return project, str(called.settled("slow")["run"]["id"])


def lock(project: Project, path: str) -> dict[str, Any]:
    return dict(json.loads(project.read(f".gitml/lock/{path}.json")))


def test_the_present_outputs_stand_for_the_new_key(project: Project) -> None:
    before = lock(project, "prepare")
    project.write("prepare.py", project.read("prepare.py") + "print('more words')\n")
    assert project.states("prepare") == {"prepare": "stale"}
    called = project.gitml("accept", "prepare", "--reason", "only a message")
    assert "accepted  code prepare.py changed" in called.stdout
    after = lock(project, "prepare")
    assert after["accepted"] == "only a message"
    assert after["outputs"] == before["outputs"]
    assert after["key"] != before["key"]
    assert set(project.states().values()) == {"fresh"}
    assert project.repro().ran == []


def test_the_acceptance_is_a_run_of_its_own(project: Project) -> None:
    project.write("prepare.py", project.read("prepare.py") + "print('more words')\n")
    project.gitml("accept", "prepare", "--reason", "only a message")
    (step,) = json.loads(project.gitml("show", "--json", "prepare").stdout)["steps"]
    run = step["last_run"]
    assert (run["accepted"], run["exit_code"], run["attempts"], run["duration"]) == ("only a message", 0, 0, 0.0)
    assert project.repo.git("show", f"{run['snapshot']}:prepare.py").endswith("print('more words')")
    (project.path / "clean.txt").unlink()
    assert project.repro().restored == ["prepare"]
    assert "accepted: only a message" in project.gitml("why", "prepare").stdout


def test_accepted_outputs_that_were_edited_are_recorded_as_they_are(project: Project) -> None:
    project.write("clean.txt", "by hand")
    project.gitml("accept", "prepare", "--reason", "mended")
    assert project.states("prepare") == {"prepare": "fresh"}
    assert project.states("train") == {"prepare": "fresh", "train@fold=0": "stale", "train@fold=1": "stale"}
    (project.path / "clean.txt").unlink()
    project.repro("prepare")
    assert project.read("clean.txt") == "by hand"


def test_a_project_that_already_has_its_outputs_need_not_run(tmp_path: Path) -> None:
    project = training(tmp_path)
    project.write("clean.txt", "made last week")
    project.gitml("accept", "prepare", "--reason", "made before gitml was used here")
    assert project.states("prepare") == {"prepare": "fresh"}
    assert "clean.txt" not in project.repo.git("status", "--porcelain")


def test_a_family_is_accepted_instance_by_instance(project: Project) -> None:
    change(project, "model/weights.py", "START = 2", "START = 1 + 1")
    project.gitml("accept", "train", "--reason", "the same number")
    assert set(project.states().values()) == {"fresh"}
    assert lock(project, "train/fold=0")["accepted"] == lock(project, "train/fold=1")["accepted"] == "the same number"
    assert lock(project, "train/fold=1")["metrics"] == {"scores/1.json": {"accuracy": 0.6, "loss": {"last": 0.5}}}


def test_a_later_run_takes_the_acceptance_away(project: Project) -> None:
    project.write("prepare.py", project.read("prepare.py") + "print(1)\n")
    project.gitml("accept", "prepare", "--reason", "x")
    project.repro("prepare", "--force")
    assert "accepted" not in lock(project, "prepare")


def test_a_fresh_step_needs_no_acceptance(project: Project) -> None:
    before = project.read(".gitml/lock/prepare.json")
    assert "nothing to accept" in project.gitml("accept", "prepare", "--reason", "x").stdout
    assert project.read(".gitml/lock/prepare.json") == before


def test_missing_outputs_and_inputs_are_refused(project: Project) -> None:
    before = project.read(".gitml/lock/train/fold=0.json")
    (project.path / "models/0.txt").unlink()
    assert "output models/0.txt" in project.gitml("accept", "train@fold=0", "--reason", "x", code=2).stderr
    (project.path / "clean.txt").unlink()
    assert "input clean.txt" in project.gitml("accept", "train@fold=1", "--reason", "x", code=2).stderr
    assert project.read(".gitml/lock/train/fold=0.json") == before


def test_a_reason_is_needed(project: Project) -> None:
    assert "--reason" in project.gitml("accept", "prepare", code=2).stderr
    assert "a reason is needed" in project.gitml("accept", "prepare", "--reason", " ", code=2).stderr


def test_a_tainted_run_is_recorded_for_what_it_started_from(tainted: tuple[Project, str]) -> None:
    project, run_id = tainted
    assert not project.exists("out.txt")
    called = project.gitml("accept", run_id, "--reason", "nobody reads the difference")
    assert "stays stale" in called.stdout
    assert project.read("out.txt") == "first"
    assert lock(project, "slow")["accepted"] == "nobody reads the difference"
    assert project.states() == {"slow": "stale"}
    project.write("in.txt", "first")
    assert project.states() == {"slow": "fresh"}


def test_what_stands_in_the_way_of_an_accepted_run_is_rescued(tainted: tuple[Project, str]) -> None:
    project, run_id = tainted
    project.write("out.txt", "precious")
    called = project.gitml("accept", run_id, "--reason", "x", "--json")
    (accepted,) = json.loads(called.stdout)["accepted"]
    (rescued,) = accepted["rescued"]
    assert Path(rescued["kept"]).read_text() == "precious"
    assert project.read("out.txt") == "first"
    assert not list((project.machine / "inflight").glob("*"))


def test_a_tainted_run_whose_outputs_are_gone_is_refused(tainted: tuple[Project, str]) -> None:
    project, run_id = tainted
    outputs = json.loads(project.gitml("show", "--json", run_id).stdout)["outputs"]
    digest = outputs["out.txt"]["digest"].removeprefix("blake3:")
    (project.cache / "objects" / digest[:2] / digest[2:]).unlink()
    project.write("out.txt", "mine")
    assert "no longer in the cache" in project.gitml("accept", run_id, "--reason", "x", code=5).stderr
    assert project.read("out.txt") == "mine"


def test_a_run_is_accepted_once(tainted: tuple[Project, str]) -> None:
    project, run_id = tainted
    project.gitml("accept", run_id, "--reason", "x")
    assert "not tainted" in project.gitml("accept", run_id, "--reason", "x", code=2).stderr


def test_a_failed_run_has_nothing_to_accept(project: Project) -> None:
    project.write("prepare.py", "raise SystemExit(3)\n")
    called = project.repro("prepare", code=1)
    run_id = called.settled("prepare")["run"]["id"]
    assert "failed (exit 3)" in project.gitml("accept", run_id, "--reason", "x", code=2).stderr


def test_a_step_that_is_being_executed_is_left_alone(tmp_path: Path) -> None:
    project = new_project(tmp_path, SLOW)
    project.write("in.txt", "first")
    project.commit()
    process = project.start("repro", "--json")
    wait_until(lambda: project.exists("out.txt"), what="the step runs")
    assert "is being worked on" in project.gitml("accept", "slow", "--reason", "x", code=1).stderr
    (project.path.parent / "go").write_text("")
    assert finish(process).ran == ["slow"]
