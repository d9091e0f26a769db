"""`gitml runs`: every run that is known here, as a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.functional.command import Project
from tests.functional.pipelines import change, training


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Three trainings of each fold, of which nothing is committed."""
    project = training(tmp_path)
    project.repro()
    for before, after in (("0.5", "0.75"), ("0.75", "0.25")):
        change(project, "gitml.toml", f"lr = {before}", f"lr = {after}")
        project.repro("train")
    return project


def runs(project: Project, *args: str) -> list[dict[str, Any]]:
    document = json.loads(project.gitml("runs", "--json", *args).stdout)
    assert document["schema"] == "gitml-runs/1"
    return list(document["runs"])


def accuracies(found: list[dict[str, Any]]) -> list[float]:
    return [number for run in found for name, number in run["numbers"].items() if name.endswith(":accuracy")]


def test_all_runs_are_listed_newest_first(project: Project) -> None:
    found = runs(project)
    assert [run["id"] for run in found] == sorted((run["id"] for run in found), reverse=True)
    assert [run["step"] for run in found].count("train@fold=0") == 3
    assert {run["step"] for run in found} == {"prepare", "train@fold=0", "train@fold=1", "report"}


def test_a_step_or_a_family_narrows_the_list(project: Project) -> None:
    assert len(runs(project, "train")) == 6
    assert {run["step"] for run in runs(project, "train@fold=1")} == {"train@fold=1"}
    assert {run["step"] for run in runs(project, "report.txt")} == {"report"}


def test_sorting_by_a_metric_puts_the_largest_first(project: Project) -> None:
    assert accuracies(runs(project, "train", "--sort", "accuracy")) == [0.85, 0.75, 0.6, 0.5, 0.35, 0.25]
    assert accuracies(runs(project, "train", "--sort", "accuracy", "-r")) == [0.25, 0.35, 0.5, 0.6, 0.75, 0.85]
    assert accuracies(runs(project, "train@fold=1", "--sort", "loss.last", "-n", "1")) == [0.35]


def test_runs_without_the_number_come_last_either_way(project: Project) -> None:
    for args in (("--sort", "accuracy"), ("--sort", "accuracy", "--reverse")):
        steps = [run["step"] for run in runs(project, *args)]
        assert set(steps[-2:]) == {"prepare", "report"}


def test_the_table_has_the_columns_that_vary(project: Project) -> None:
    head, *rows = project.gitml("runs", "train@fold=0").stdout.splitlines()
    assert head.split() == ["run", "step", "started", "took", "state", "commit", "accuracy", "loss.last"]
    assert [row.split()[-2:] for row in rows] == [["0.25", "0.75"], ["0.75", "0.25"], ["0.5", "0.5"]]
    assert "seed" not in head  # the same in every run


def test_a_parameter_that_only_some_steps_declare_does_not_vary(project: Project) -> None:
    head = project.gitml("runs").stdout.splitlines()[0].split()
    assert "seed" not in head
    assert "accuracy" in head


def test_a_parameter_that_varies_is_a_column(project: Project) -> None:
    change(project, "gitml.toml", "seed = 1", "seed = 9")
    project.repro("train")
    head, first, *_ = project.gitml("runs", "train@fold=0").stdout.splitlines()
    assert head.split()[-1] == "seed"
    assert first.split()[-1] == "9"
    assert runs(project, "train@fold=0", "--sort", "seed")[0]["params"] == {"seed": 9}


def test_what_is_sorted_by_is_shown_though_it_is_the_same(project: Project) -> None:
    head = project.gitml("runs", "train@fold=0", "--sort", "seed").stdout.splitlines()[0]
    assert "seed" in head.split()


def test_a_name_in_two_files_of_one_run_keeps_its_file(tmp_path: Path) -> None:
    project = training(tmp_path)
    change(project, "gitml.toml", 'metrics = ["scores/${{ matrix.fold }}.json"]', 'metrics = ["s.json", "t.json"]')
    change(project, "gitml.toml", "fold = [0, 1]", "fold = [0]")
    change(project, "gitml.toml", '"scores/*.json"', '"s.json"')
    change(project, "train.py", '"scores/" + fold + ".json"', '"s.json"')
    project.write("train.py", project.read("train.py") + 'open("t.json", "w").write(\'{"accuracy": 0.1}\')\n')
    project.repro("train")
    head = project.gitml("runs", "train").stdout.splitlines()[0]
    assert {"s.json:accuracy", "t.json:accuracy"} <= set(head.split())
    assert "means several numbers" in project.gitml("runs", "--sort", "accuracy", code=2).stderr
    assert runs(project, "--sort", "t.json:accuracy")[0]["numbers"]["t.json:accuracy"] == 0.1


def test_failed_runs_are_listed_as_such(project: Project) -> None:
    project.write("train.py", "raise SystemExit(4)\n")
    project.repro("train@fold=0", code=1)
    assert "failed (exit 4)" in project.gitml("runs", "train@fold=0").stdout.splitlines()[1]
    assert runs(project)[0]["exit_code"] == 4


def test_a_step_that_is_no_longer_declared_keeps_its_runs(project: Project) -> None:
    text = project.read("gitml.toml")
    project.write("gitml.toml", text[: text.index("[step.report]")])
    assert len(runs(project, "report")) == 1


def test_an_unknown_number_is_refused(project: Project) -> None:
    assert "did you mean 'accuracy'" in project.gitml("runs", "--sort", "acuracy", code=2).stderr
    assert "no step is named 'nobody'" in project.gitml("runs", "nobody", code=2).stderr


def test_nothing_has_run_yet(tmp_path: Path) -> None:
    called = training(tmp_path).gitml("runs")
    assert (called.stdout, called.stderr) == ("", "no runs yet\n")
