"""The shipped examples, run as a reader of them would run them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import tests.functional.command as command
from tests.functional.command import Project, new_project

EXAMPLES = Path(__file__).parents[2] / "examples"
DIGITS = [
    "prepare",
    "baseline",
    *(f"{name}@seed={seed}" for name in ("train", "evaluate") for seed in (0, 1, 2)),
    "report",
]


def copied(example: str, tmp_path: Path) -> Project:
    project = new_project(tmp_path, "")
    shutil.copytree(EXAMPLES / example, project.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    project.commit("the example")
    return project


def test_digits_is_run_changed_rerun_and_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "LONGEST", 300.0)
    project = copied("digits", tmp_path)
    assert sorted(project.repro().ran) == sorted(DIGITS)
    baseline = json.loads(project.read("metrics/baseline.json"))["accuracy"]
    accuracies = [json.loads(project.read(f"metrics/cnn-{seed}.json"))["accuracy"] for seed in (0, 1, 2)]
    assert min(accuracies) > max(0.9, baseline)
    report = project.read("report.md")
    project.commit("first results")
    assert project.repro().ran == []

    train = project.read("digits/train.py")
    project.write("digits/train.py", train + "\n# a comment changes nothing\n")
    assert set(project.states().values()) == {"fresh"}

    params = project.read("params.toml")
    project.write("params.toml", params.replace("epochs = 12", "epochs = 1"))
    again = project.repro("train@seed=0")
    assert again.ran == ["train@seed=0"]
    assert again.reasons["train@seed=0"] == ["param train.epochs 12 -> 1"]

    project.write("params.toml", params)
    back = project.repro()
    assert back.ran == []
    assert back.restored == ["train@seed=0"]
    assert project.read("report.md") == report


def test_the_demo_runs_and_its_next_three_commands_work(tmp_path: Path) -> None:
    project = new_project(tmp_path, "")
    written = project.gitml("demo", "wine")
    demo = Project(command.Repo(path=project.path / "wine", environ=project.repo.environ), tmp_path / "ran-demo")
    tries = [line.split() for line in written.stdout.splitlines() if line.startswith("  ")]
    assert tries == [["cd", "wine"], ["gitml", "repro"], ["gitml", "graph"]]
    for _, *words in tries[1:]:
        demo.gitml(*words)
    assert set(demo.states().values()) == {"fresh"}
    assert "test accuracy" in demo.read("report.md")
