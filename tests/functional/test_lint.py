"""`gitml lint`: what is allowed but looks wrong, with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.functional.command import Project
from tests.functional.pipelines import change, training


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return training(tmp_path)


def findings(project: Project, *names: str, code: int | None = 1) -> list[dict[str, Any]]:
    document = json.loads(project.gitml("lint", "--json", *names, code=code).stdout)
    assert document["schema"] == "gitml-lint/1"
    return list(document["findings"])


def the(project: Project, rule: str) -> dict[str, Any]:
    (found,) = [finding for finding in findings(project, code=None) if finding["rule"] == rule]
    return dict(found)


def at(project: Project, finding: dict[str, Any]) -> str:
    """The text that stands where a finding points to."""
    line = project.read(finding["file"]).splitlines()[finding["line"] - 1]
    return line[finding["column"] - 1 :]


def test_a_sound_pipeline_has_nothing_wrong_but_outputs_that_nobody_reads(project: Project) -> None:
    (found,) = findings(project, code=0)
    assert (found["rule"], found["severity"]) == ("unread-output", "info")
    assert found["steps"] == ["train@fold=0", "train@fold=1"]
    assert at(project, found).startswith('["models/${{ matrix.fold }}.txt"]')


def test_the_results_of_last_steps_metrics_and_git_outputs_are_not_loose_ends(project: Project) -> None:
    change(project, "gitml.toml", 'outputs = ["models/${{ matrix.fold }}.txt"]', "")
    assert findings(project, code=0) == []
    assert project.gitml("lint").stdout == "nothing looks wrong\n"


def test_an_import_that_cannot_be_followed_is_named_with_its_line(project: Project) -> None:
    project.write("prepare.py", "import importlib\n\nimportlib.import_module(input())\n")
    found = the(project, "dynamic-import")
    assert (found["file"], found["line"], found["severity"]) == ("prepare.py", 3, "warning")
    assert "prepare.py:3:1: warning:" in project.gitml("lint", code=1).stdout
    change(project, "gitml.toml", 'run = "python prepare.py"', 'run = "python prepare.py"\ncode = ["model"]')
    assert the(project, "dynamic-import")["severity"] == "info"


def test_a_step_without_outputs_is_named_unless_it_is_an_action(project: Project) -> None:
    text = project.read("gitml.toml")
    project.write("gitml.toml", text + '\n[step.check]\nrun = "true"\ninputs = ["report.txt"]\n')
    found = the(project, "no-outputs")
    assert found["steps"] == ["check"]
    assert at(project, found) == "check]"
    project.write("gitml.toml", text + '\n[step.check]\nrun = "true"\nalways = true\n')
    assert findings(project, code=0)[0]["rule"] == "unread-output"


def test_a_file_named_in_a_command_that_nobody_declared(project: Project) -> None:
    change(project, "gitml.toml", "python prepare.py", "python prepare.py --table table.csv --all raw --no nowhere")
    project.write("table.csv", "1\n")
    project.write(".gitignore", "table.csv\n")
    found = the(project, "undeclared-file")
    assert found["message"].startswith("table.csv ")
    assert at(project, found).startswith("table.csv --all")


def test_an_output_of_another_step_that_is_no_input(project: Project) -> None:
    change(project, "gitml.toml", "python train.py", "python train.py --base=report.txt")
    assert the(project, "undeclared-file")["message"] == "report.txt, which report makes, is no input of train"


def test_a_matrix_value_that_reaches_nothing(project: Project) -> None:
    change(project, "gitml.toml", " --fold ${{ matrix.fold }}", "")
    found = the(project, "same-work")
    assert found["message"] == "train@fold=1 does the same as train@fold=0"
    assert at(project, found).startswith("matrix = ")


def test_an_input_that_nobody_owns(project: Project) -> None:
    project.write(".gitignore", "raw/b.txt\nsecret.txt\n")
    project.repo.git("rm", "-q", "--cached", "raw/b.txt")
    assert the(project, "unowned-input")["message"].endswith("no step makes them: raw/b.txt")
    project.write("secret.txt", "x")
    change(project, "gitml.toml", '["raw"]', '["secret.txt"]')
    found = the(project, "unowned-input")
    assert found["message"] == "input secret.txt is ignored by Git, and no step makes it"
    assert at(project, found) == 'secret.txt"]'


def test_an_input_that_is_not_there(project: Project) -> None:
    change(project, "gitml.toml", '["raw"]', '["raw", "more/*.csv", "gone"]')
    messages = {f["message"] for f in findings(project) if f["rule"] == "unowned-input"}
    assert messages == {"no file matches input more/*.csv", "input gone does not exist"}


def test_the_lock_of_a_step_that_was_removed(project: Project) -> None:
    project.repro()
    text = project.read("gitml.toml")
    project.write("gitml.toml", text[: text.index("[step.report]")])
    found = the(project, "orphaned-lock")
    assert found["file"] == ".gitml/lock/report.json"
    assert "git rm" in found["hint"]


def test_a_secret_in_env(project: Project) -> None:
    change(project, "gitml.toml", "python prepare.py", 'python prepare.py"\nenv = ["LANG", "HF_TOKEN"]\ncwd = ".')
    found = the(project, "secret-in-env")
    assert at(project, found) == 'HF_TOKEN"]'


def test_a_declaration_in_pyproject_is_pointed_to(project: Project) -> None:
    text = project.read("gitml.toml").replace("[step.", "[tool.gitml.step.").replace("[params]", "[tool.gitml.params]")
    (project.path / "gitml.toml").unlink()
    project.write("pyproject.toml", '[project]\nname = "x"\n\n' + text)
    (found,) = findings(project, code=0)
    assert found["file"] == "pyproject.toml"
    assert at(project, found).startswith('["models/')


def test_names_narrow_it(project: Project) -> None:
    change(project, "gitml.toml", '["raw"]', '["gone"]')
    assert findings(project, "report", code=0) == []
    assert [f["rule"] for f in findings(project, "prepare")] == ["unowned-input"]


def test_it_runs_nothing_and_writes_no_lock(project: Project) -> None:
    project.gitml("lint")
    assert not project.exists(".gitml")
    assert not project.exists("clean.txt")


def test_each_finding_names_its_own_steps(project: Project) -> None:
    change(project, "gitml.toml", '["raw"]', '["gone"]')
    change(project, "gitml.toml", "python prepare.py", 'python prepare.py"\nenv = ["A_TOKEN"]\ncwd = ".')
    change(project, "gitml.toml", "python train.py", "python train.py table.csv")
    project.write("table.csv", "1\n")
    project.write(".gitignore", "table.csv\n")
    assert {(f["rule"], tuple(f["steps"])) for f in findings(project)} == {
        ("unowned-input", ("prepare",)),
        ("secret-in-env", ("prepare",)),
        ("undeclared-file", ("train@fold=0", "train@fold=1")),
        ("unread-output", ("train@fold=0", "train@fold=1")),
    }
