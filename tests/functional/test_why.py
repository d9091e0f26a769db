"""`gitml why`: reasons down to the file, the import, the value; and the nearest earlier run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.functional.command import Project
from tests.functional.pipelines import change, training


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = training(tmp_path)
    project.repro()
    return project


def why(project: Project, *names: str) -> dict[str, Any]:
    document = json.loads(project.gitml("why", "--json", *names).stdout)
    assert document["schema"] == "gitml-why/1"
    return {step["step"]: step for step in document["steps"]}


def reasons(found: dict[str, Any]) -> list[str]:
    return [reason["text"] for reason in found["reasons"]]


def test_a_folder_input_is_followed_to_the_files_that_changed(project: Project) -> None:
    project.write("raw/a.txt", "A\n")
    project.write("raw/deep/c.txt", "ccc\n")
    project.write("raw/deep/er/d.txt", "d\n")
    (project.path / "raw/b.txt").unlink()
    called = project.gitml("why", "prepare")
    assert "input raw changed" in called.stdout
    assert [line.split()[:2] for line in called.stdout.splitlines() if line.lstrip()[:1] in "+-~"] == [
        ["~", "a.txt"],
        ["-", "b.txt"],
        ["+", "deep"],
    ]
    (reason,) = why(project, "prepare")["prepare"]["reasons"]
    assert reason["paths"]["total"] == 3
    assert reason["paths"]["changes"][0] == {"path": "a.txt", "change": "changed", "size": 2}


def test_a_subfolder_is_opened_where_it_stood_before(project: Project) -> None:
    project.write("raw/deep/c.txt", "c\n")
    project.write("raw/deep/same.txt", "s\n")
    project.write("prepare.py", 'open("clean.txt", "w").write("x")\n')
    project.repro()
    project.write("raw/deep/c.txt", "changed\n")
    (reason,) = why(project, "prepare")["prepare"]["reasons"]
    assert reason["paths"] == {"total": 1, "changes": [{"path": "deep/c.txt", "change": "changed", "size": 8}]}


def test_many_changed_files_are_counted(project: Project) -> None:
    for number in range(30):
        project.write(f"raw/n{number:02}.txt", "x\n")
    text = project.gitml("why", "prepare").stdout
    assert text.count("  + n") == 10
    assert "30 in all (30 added)" in text


def test_a_folder_whose_record_is_gone_says_so(project: Project) -> None:
    lock = json.loads(project.read(".gitml/lock/prepare.json"))
    digest = lock["recipe"]["input:raw"]["digest"].removeprefix("blake3:")
    (project.cache / "objects" / digest[:2] / digest[2:]).unlink()
    project.write("raw/a.txt", "A\n")
    assert "not known" in project.gitml("why", "prepare").stdout
    assert why(project, "prepare")["prepare"]["reasons"][0]["paths"] is None


def test_code_says_through_which_imports_it_was_found(project: Project) -> None:
    change(project, "model/weights.py", "2", "3")
    (reason,) = why(project, "train@fold=0")["train@fold=0"]["reasons"]
    assert reason["text"] == "code model/weights.py changed"
    assert reason["via"] == ["imported by train.py:5 as model.weights", "started by the command"]
    assert "imported by train.py:5 as model.weights" in project.gitml("why", "train").stdout


def test_a_parameter_shows_both_values_and_a_command_both_lines(project: Project) -> None:
    change(project, "gitml.toml", "seed = 1", "seed = 7")
    change(project, "gitml.toml", "lr = 0.5", "lr = 0.25")
    text = project.gitml("why", "train@fold=1").stdout
    assert "param seed 1 -> 7" in text
    assert '- run: ["python train.py --lr 0.5 --fold 1"]' in text
    assert '+ run: ["python train.py --lr 0.25 --fold 1"]' in text


def test_outputs_that_are_missing_or_changed_are_named(project: Project) -> None:
    (project.path / "models/0.txt").unlink()
    project.write("scores/0.json", "{}")
    found = why(project, "train@fold=0")["train@fold=0"]
    assert reasons(found) == ["output models/0.txt is missing", "output scores/0.json was changed"]
    assert found["state"] == "cached"


def test_a_fresh_step_says_what_it_rests_on(project: Project) -> None:
    text = project.gitml("why", "train@fold=0").stdout
    assert "train@fold=0  fresh" in text
    assert "code model/__init__.py, model/weights.py, train.py" in text
    assert "input clean.txt" in text
    assert "param seed" in text
    assert why(project, "train@fold=0")["train@fold=0"]["nearest"] is None


def test_the_nearest_earlier_run_may_be_nearer_than_the_lock(project: Project) -> None:
    first = project.commit("locks")
    change(project, "model/weights.py", "2", "3")
    change(project, "gitml.toml", "seed = 1", "seed = 2")
    project.repro()
    change(project, "model/weights.py", "3", "2")  # back to what the first run had, but for one parameter
    change(project, "gitml.toml", "seed = 2", "seed = 3")
    found = why(project, "train@fold=0")["train@fold=0"]
    assert reasons(found) == ["code model/weights.py changed", "param seed 2 -> 3"]
    assert [reason["text"] for reason in found["nearest"]["reasons"]] == ["param seed 1 -> 3"]
    snapshot = found["nearest"]["run"]["snapshot"]
    assert project.repo.git("show", f"{snapshot}:model/weights.py") == "START = 2"
    assert project.repo.git("rev-parse", f"{first}^") == snapshot
    text = project.gitml("why", "train@fold=0").stdout
    assert f"nearest earlier run: run {found['nearest']['run']['id']} of train@fold=0, {snapshot[:10]} (main)" in text


def test_a_step_that_can_be_restored_names_the_run(project: Project) -> None:
    change(project, "gitml.toml", "seed = 1", "seed = 2")
    project.repro()
    change(project, "gitml.toml", "seed = 2", "seed = 1")
    found = why(project, "train@fold=0")["train@fold=0"]
    assert found["state"] == "cached"
    assert found["nearest"]["reasons"] == []
    assert "the same recipe ran before" in project.gitml("why", "train@fold=0").stdout


def test_a_step_below_a_stale_one_waits(project: Project) -> None:
    change(project, "gitml.toml", "seed = 1", "seed = 2")
    found = why(project)
    assert set(found) == {"train@fold=0", "train@fold=1", "report"}
    assert found["report"]["state"] == "unknown"
    assert found["report"]["upstream"] == ["train@fold=0", "train@fold=1"]


def test_without_names_a_fresh_project_has_nothing_to_explain(project: Project) -> None:
    assert project.gitml("why").stdout == "every step is fresh\n"


def test_a_step_that_never_ran_says_so(tmp_path: Path) -> None:
    project = training(tmp_path)
    assert "never run" in project.gitml("why", "prepare").stdout
    assert why(project, "prepare")["prepare"]["recorded"] is None


def test_an_unknown_step_is_refused(project: Project) -> None:
    assert "did you mean 'train'" in project.gitml("why", "trian", code=2).stderr


def test_names_from_a_clone_cannot_move_the_cursor(project: Project) -> None:
    project.write("raw/\x1b[2Jevil", "x")
    text = project.gitml("why", "prepare").stdout
    assert "\x1b" not in text
    assert "\\x1b[2Jevil" in text


def test_it_writes_no_lock_and_runs_nothing(project: Project) -> None:
    project.write("raw/a.txt", "A\n")
    before = project.read(".gitml/lock/prepare.json")
    project.gitml("why")
    assert project.read(".gitml/lock/prepare.json") == before
    assert project.states()["prepare"] == "stale"


def test_a_lock_with_conflict_markers_is_told(project: Project) -> None:
    text = project.read(".gitml/lock/prepare.json")
    project.write(".gitml/lock/prepare.json", f"<<<<<<< ours\n{text}=======\n{text}>>>>>>> theirs\n")
    assert "conflict markers" in project.gitml("why", "prepare").stdout
    assert why(project, "prepare")["prepare"]["state"] == "conflicted"
