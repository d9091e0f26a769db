"""`gitml show`: a step's sheet, a run's card, a log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.functional.command import Project, new_project
from tests.functional.pipelines import change, training


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = training(tmp_path)
    project.repro()
    return project


def sheet(project: Project, name: str) -> dict[str, Any]:
    document = json.loads(project.gitml("show", "--json", name).stdout)
    assert document["schema"] == "gitml-show/1"
    (step,) = document["steps"]
    return dict(step)


def card(project: Project, name: str) -> dict[str, Any]:
    return dict(json.loads(project.gitml("show", "--json", name).stdout))


def test_a_step_shows_its_declaration_as_resolved(project: Project) -> None:
    text = project.gitml("show", "train@fold=1").stdout
    assert "python train.py --lr 0.5 --fold 1" in text
    assert "clean.txt  made by prepare" in text
    assert "scores/1.json  (metrics)" in text
    assert "read by    report" in text
    assert "seed = 1" in text


def test_code_is_listed_with_the_import_that_led_to_it(project: Project) -> None:
    change(project, "train.py", "import json\n", "import importlib, json\nimportlib.import_module(input())\n")
    step = sheet(project, "train@fold=0")
    assert {row["path"]: row["via"] for row in step["code"]} == {
        "model/__init__.py": "imported by train.py:6 as model",
        "model/weights.py": "imported by train.py:6 as model.weights",
        "train.py": "started by the command",
    }
    assert [(row["path"], row["line"]) for row in step["dynamic"]] == [("train.py", 2)]
    assert "not followed" in project.gitml("show", "train@fold=0").stdout


def test_declared_and_named_code_say_so(tmp_path: Path) -> None:
    project = new_project(tmp_path, '[step.a]\nrun = "sh do.sh > out"\ncode = ["lib/*.sh"]\noutputs = ["out"]\n')
    project.write("do.sh", "echo x\n")
    project.write("lib/x.sh", "echo y\n")
    project.commit()
    text = project.gitml("show", "a").stdout
    assert "do.sh  named in the command, by its bytes" in text
    assert "lib/x.sh  declared as code lib/*.sh, by its bytes" in text


def test_a_family_shows_every_instance(project: Project) -> None:
    document = json.loads(project.gitml("show", "--json", "train").stdout)
    assert [step["step"] for step in document["steps"]] == ["train@fold=0", "train@fold=1"]


def test_the_last_run_is_on_the_sheet_with_its_card(project: Project) -> None:
    head = project.repo.git("rev-parse", "HEAD")
    step = sheet(project, "prepare")
    assert step["last_run"]["snapshot"] == head
    assert step["state"] == "fresh"
    assert step["key"] == step["recorded"]["key"] == step["last_run"]["key"]
    text = project.gitml("show", "prepare").stdout
    assert f"commit     {head} (main)" in text
    assert "state      ok" in text


def test_a_run_is_found_by_its_id_and_by_its_key(project: Project) -> None:
    run = sheet(project, "train@fold=1")["last_run"]
    assert card(project, run["id"]) == card(project, run["key"]) == run
    assert card(project, run["key"].removeprefix("blake3:")[:12])["id"] == run["id"]
    text = project.gitml("show", run["id"]).stdout
    assert "scores/1.json:accuracy = 0.6" in text
    assert "scores/1.json:loss.last = 0.5" in text
    assert f"models/1.txt  file  {run['outputs']['models/1.txt']['digest']}  3 B" in text
    assert "clean.txt  file  blake3:" in text


def test_a_failed_run_says_how_it_ended(project: Project) -> None:
    project.write("prepare.py", "import sys\nprint('no luck')\nsys.exit(3)\n")
    project.repro(code=1)
    assert "failed (exit 3)" in project.gitml("show", "prepare").stdout
    assert project.gitml("show", "prepare", "--log").stdout == "no luck\n"


def test_the_log_of_a_step_and_of_a_run_is_what_was_printed(project: Project) -> None:
    run = sheet(project, "prepare")["last_run"]
    assert project.gitml("show", "prepare", "--log").stdout == "joined 2 files\n"
    assert project.gitml("show", run["id"], "--log").stdout == "joined 2 files\n"


def test_a_run_that_wrote_nothing_has_an_empty_log(project: Project) -> None:
    called = project.gitml("show", "report", "--log")
    assert (called.stdout, called.stderr) == ("", "the run wrote nothing\n")


def test_the_log_of_a_family_needs_one_name(project: Project) -> None:
    called = project.gitml("show", "train", "--log", code=2)
    assert "train@fold=0, train@fold=1" in called.stderr


def test_a_step_that_has_not_run_has_no_log(tmp_path: Path) -> None:
    project = training(tmp_path)
    assert "has not run here" in project.gitml("show", "prepare", "--log", code=2).stderr
    assert sheet(project, "prepare")["last_run"] is None


def test_a_prefix_of_several_runs_names_them(project: Project) -> None:
    ids = [sheet(project, name)["last_run"]["id"] for name in ("prepare", "report")]
    called = project.gitml("show", ids[0][:4], code=2)
    assert "means 4 runs" in called.stderr
    assert ids[1] in called.stderr


def test_what_means_nothing_is_refused(project: Project) -> None:
    assert "no step is named 'nonsense'" in project.gitml("show", "nonsense", code=2).stderr
    assert "no run or key begins so" in project.gitml("show", "0123456789abcdef", code=2).stderr


def test_a_mistyped_name_that_could_be_a_key_still_gets_the_nearest_step(tmp_path: Path) -> None:
    project = new_project(tmp_path, '[step.bead]\nrun = "true"\n')
    assert "did you mean 'bead'" in project.gitml("show", "beat", code=2).stderr
    assert "did you mean 'bead'" in project.gitml("show", "bed", code=2).stderr


def test_the_sheet_is_data_of_a_stable_form(project: Project) -> None:
    jsonschema.validate(
        sheet(project, "report"),
        {
            "required": [
                "step",
                "state",
                "key",
                "commands",
                "inputs",
                "outputs",
                "code",
                "dynamic",
                "recipe",
                "last_run",
            ],
            "properties": {
                "commands": {"type": "array", "items": {"type": ["string", "array"]}},
                "inputs": {"items": {"required": ["path", "made_by"]}},
                "outputs": {"items": {"required": ["path", "role", "git", "cache", "push"]}},
                "key": {"pattern": "^blake3:[0-9a-f]{64}$"},
            },
        },
    )
