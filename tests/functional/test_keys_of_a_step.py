"""What the keys of a step do when it runs."""

from __future__ import annotations

from pathlib import Path

from tests.functional.command import new_project


def test_after_orders_steps_and_enters_no_key(tmp_path: Path) -> None:
    first = '[step.first]\nrun = "echo first >> $RAN; echo 1"\n'
    manifest = '[step.second]\nrun = "echo second >> $RAN"\nafter = ["first"]\n' + first
    project = new_project(tmp_path, manifest)
    project.repro("-j", "2")
    assert project.calls() == ["first", "second"]
    project.write("gitml.toml", manifest.replace("echo 1", "echo 2"))
    assert project.repro().ran == ["first"]


def test_an_always_step_runs_each_time(tmp_path: Path) -> None:
    project = new_project(tmp_path, '[step.a]\nrun = "date > out"\noutputs = ["out"]\nalways = true\n')
    assert project.repro().ran == ["a"]
    assert project.repro().ran == ["a"]
    assert project.states() == {"a": "stale"}


def test_a_frozen_step_is_kept_though_its_code_changes(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "echo 1 > out"\noutputs = ["out"]\n'
    project = new_project(tmp_path, manifest)
    project.repro()
    project.write("gitml.toml", manifest.replace("echo 1", "echo 2") + "frozen = true\n")
    assert project.repro().ran == []
    assert "fresh (frozen)" in project.gitml("status").stdout
    assert project.read("out") == "1\n"
    assert project.repro("-f").ran == ["a"]


def test_argv_cwd_and_shell(tmp_path: Path) -> None:
    manifest = (
        '[step.a]\nargv = ["touch", "a b", "$HOME"]\ncwd = "sub"\noutputs = ["sub/a b", "sub/$HOME"]\n'
        '[step.b]\nrun = "echo ${BASH_VERSION:+bash} > b"\nshell = "bash"\noutputs = ["b"]\n'
    )
    project = new_project(tmp_path, manifest, sub__keep="")
    project.repro()
    assert project.exists("sub/a b")
    assert project.exists("sub/$HOME")
    assert project.read("b") == "bash\n"


def test_a_list_of_commands_stops_at_the_first_failure(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = ["echo 1 >> $RAN", "echo 2 >> $RAN; exit 3", "echo 3 >> $RAN"]\n'
    project = new_project(tmp_path, manifest)
    assert "exit 3" in project.gitml("repro", code=1).stdout
    assert project.calls() == ["1", "2"]


def test_a_matrix_of_tables_may_differ_in_inputs(tmp_path: Path) -> None:
    manifest = (
        '[step.a]\nmatrix = [{ name = "x", data = "one.txt" }, { name = "y", data = "two.txt" }]\n'
        'run = "cat ${{ inputs }} > ${{ outputs }}"\ninputs = ["${{ matrix.data }}"]\n'
        'outputs = ["out/${{ matrix.name }}"]\nplots = ["plots/${{ matrix.name }}.csv"]\n'
    ).replace('${{ outputs }}"', '${{ outputs }}; echo 1,2 > plots/${{ matrix.name }}.csv"')
    project = new_project(tmp_path, manifest, **{"one.txt": "1", "two.txt": "2"})
    assert len(project.repro().ran) == 2
    assert (project.read("out/x"), project.read("out/y")) == ("1", "2")
    project.write("two.txt", "3")
    (ran,) = project.repro().ran
    assert "two.txt" in ran
    assert (project.read("out/x"), project.read("out/y")) == ("1", "3")


def test_a_project_in_pyproject_in_a_subfolder(tmp_path: Path) -> None:
    manifest = '[tool.gitml.step.a]\nrun = "cat in > out"\ninputs = ["in"]\noutputs = ["out"]\n'
    project = new_project(tmp_path, "", **{"sub__pyproject.toml": manifest, "sub__in": "1", "sub__deep__keep": ""})
    assert "ran" in project.gitml("repro", cwd="sub/deep").stdout
    assert project.read("sub/out") == "1"
    assert project.gitml("status", cwd="sub").stdout == "✓ a  fresh\n"
    assert project.repo.git("status", "--porcelain") == "?? sub/.gitml/"
