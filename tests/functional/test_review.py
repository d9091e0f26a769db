"""What a verdict rests on, beyond the ordinary: links, late files, filters, and what must survive a repeated run."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from gitml.engine.resources import Grant, Machine, Pool
from gitml.model.step import Resources
from tests.functional.command import Project, new_project
from tests.repos import Repo, isolated_environ, new_repo


def settle(project: Project) -> None:
    """Let the tick of the file system's clock pass, and have the verdict stamped."""
    for _ in range(2):
        time.sleep(0.03)
        assert set(project.states().values()) == {"fresh"}


def linked(tmp_path: Path) -> Project:
    manifest = '[step.a]\nrun = "sh make.sh"\ninputs = ["data"]\noutputs = ["out"]\n'
    project = new_project(tmp_path, manifest, v1__x="1", v2__x="2", **{"make.sh": "cat data/x > out\n"})
    os.symlink("v1", project.path / "data")
    return project


def test_an_input_link_that_leads_elsewhere_now(tmp_path: Path) -> None:
    project = linked(tmp_path)
    project.repro()
    settle(project)
    os.unlink(project.path / "data")
    os.symlink("v2", project.path / "data")
    assert project.states() == {"a": "stale"}


def test_a_link_on_the_way_that_leads_elsewhere_now(tmp_path: Path) -> None:
    project = linked(tmp_path)
    os.unlink(project.path / "data")
    os.symlink("middle", project.path / "data")
    os.symlink("v1", project.path / "middle")
    project.repro()
    settle(project)
    os.unlink(project.path / "middle")
    os.symlink("v2", project.path / "middle")
    assert project.states() == {"a": "stale"}


def test_a_link_to_nothing_that_leads_to_something_now(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "sh make.sh"\ninputs = ["data"]\noutputs = ["out"]\n'
    project = new_project(tmp_path, manifest, **{"make.sh": "cat data/f > out || echo none > out\n"})
    os.symlink("later", project.path / "data")
    project.repro()
    settle(project)
    project.write("later/f", "1")
    assert project.states() == {"a": "stale"}


def test_an_output_link_that_leads_elsewhere_now(tmp_path: Path) -> None:
    project = new_project(tmp_path, '[step.a]\nrun = "sh make.sh"\noutputs = ["out"]\n', **{"make.sh": "ln -s x out\n"})
    project.repro()
    settle(project)
    os.unlink(project.path / "out")
    os.symlink("y", project.path / "out")
    assert project.states() == {"a": "cached"}


@pytest.mark.parametrize("absolute", [True, False])
def test_what_a_link_in_an_input_folder_leads_to_outside_the_project_counts(tmp_path: Path, absolute: bool) -> None:
    manifest = '[step.a]\nrun = "cat data/far/x > out"\ninputs = ["data"]\noutputs = ["out"]\n'
    project = new_project(tmp_path, manifest, data__y="1")
    far = tmp_path / "far"
    far.mkdir()
    (far / "x").write_text("1")
    os.symlink(far if absolute else "../../far", project.path / "data/far")
    project.repro()
    settle(project)
    (far / "x").write_text("2")
    assert project.states() == {"a": "stale"}


def test_a_new_file_that_a_code_glob_matches(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "cat lib/*/*.txt > out"\ncode = ["lib/**/*.txt"]\noutputs = ["out"]\n'
    project = new_project(tmp_path, manifest, lib__a__x="1", **{"lib/a/x.txt": "1"})
    project.repro()
    settle(project)
    project.write("lib/b/y.txt", "2")
    assert project.states() == {"a": "stale"}


def test_a_new_file_deep_in_a_code_folder(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "true > out"\ncode = ["lib"]\noutputs = ["out"]\n'
    project = new_project(tmp_path, manifest, **{"lib/a/b/x.txt": "1"})
    project.repro()
    settle(project)
    project.write("lib/a/b/y.txt", "2")
    assert project.states() == {"a": "stale"}


def test_a_new_file_that_a_pattern_of_the_command_matches(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "cat conf/*.txt > out"\noutputs = ["out"]\n'
    project = new_project(tmp_path, manifest, **{"conf/x.txt": "1"})
    project.repro()
    settle(project)
    project.write("conf/y.txt", "2")
    assert project.states() == {"a": "stale"}


def test_a_script_that_is_a_link(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "python run.py > out"\noutputs = ["out"]\n'
    project = new_project(tmp_path, manifest, **{"real.py": "print(1)\n"})
    os.symlink("real.py", project.path / "run.py")
    project.commit()
    project.repro()
    settle(project)
    project.write("real.py", "print(2)\n")
    assert project.states() == {"a": "stale"}


def test_an_output_of_git_is_recorded_as_it_was_written_last(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "tr a-z A-Z < x > out"\ninputs = ["x"]\noutputs = [{ path = "out", git = true }]\n'
    project = new_project(tmp_path, manifest, x="one\r\n", **{".gitattributes": "out text\n"})
    project.repro()
    project.commit()
    project.write("x", "two\r\n")
    assert project.repro().ran == ["a"]
    assert project.states() == {"a": "fresh"}
    assert project.read("out") == "TWO\n"


def test_an_input_that_git_converts_is_read_when_its_step_comes(tmp_path: Path) -> None:
    manifest = """
    [step.a]
    run = "printf 'two\\r\\n' > x; cat y > one"
    inputs = ["y"]
    outputs = ["one"]
    [step.b]
    run = "cat x > two"
    inputs = ["x"]
    outputs = ["two"]
    after = ["a"]
    """
    project = new_project(tmp_path, manifest, x="one\r\n", y="1", **{".gitattributes": "x text\n"})
    project.repro()
    assert project.states() == {"a": "fresh", "b": "fresh"}


def test_an_output_that_the_cache_has_no_longer_is_not_deleted(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "cat x > out"\ninputs = ["x"]\noutputs = ["out"]\n'
    project = new_project(tmp_path, manifest, x="1")
    project.repro()
    shutil.rmtree(project.cache / "objects")
    project.write("x", "2")
    project.repro()
    kept = [path.read_text() for path in (project.machine / "rescued").rglob("out")]
    assert kept == ["1"]


def test_frozen_outputs_come_back_though_the_step_has_changed(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "cat x > out"\ninputs = ["x"]\noutputs = ["out"]\n'
    project = new_project(tmp_path, manifest, x="1")
    project.repro()
    project.write("gitml.toml", manifest + "frozen = true\n")
    project.write("x", "2")
    os.unlink(project.path / "out")
    assert project.repro().restored == ["a"]
    assert project.read("out") == "1"
    project.write("gitml.toml", manifest)
    assert project.states() == {"a": "stale"}


def test_a_run_that_names_other_outputs_than_the_step_is_not_served(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "cat x > out"\ninputs = ["x"]\noutputs = ["out"]\n'
    project = new_project(tmp_path, manifest, x="1", code="mine")
    project.repro()
    (record,) = (project.cache / "runs").rglob("*.json")
    record.write_text(record.read_text().replace('"outputs":{"out"', '"outputs":{"code"'))
    os.unlink(project.path / "out")
    assert project.repro().ran == ["a"]
    assert project.read("code") == "mine"


def test_parts_of_cpus_are_given_back_whole() -> None:
    pool = Pool(Machine(cpus=2))
    held: list[tuple[float, Grant]] = []
    for change in (0.7, -0.7, 0.1, -0.1, 0.2, 0.4, -0.2, -0.4, 0.7, 0.6, 0.4, 0.2, -0.7, -0.6, -0.4, -0.2):
        if change > 0:
            grant = pool.take(Resources(cpus=change))
            assert grant is not None
            held.append((change, grant))
        else:
            at = next(number for number, (cpus, _) in enumerate(held) if cpus == -change)
            pool.give_back(held.pop(at)[1])
    assert pool.take(Resources(cpus=2)) is not None


def test_settings_of_git_in_variables_are_part_of_the_verdict(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "cat x > out"\ninputs = ["x"]\noutputs = ["out"]\n'
    project = new_project(tmp_path, manifest, x="1\n")
    project.write("x", "2\r\n")
    project.repro()
    settle(project)
    project.environ |= {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.autocrlf",
        "GIT_CONFIG_VALUE_0": "true",
    }
    assert project.states() == {"a": "stale"}


def test_quoted_names_of_parameters_reach_the_command(tmp_path: Path) -> None:
    manifest = """
    [params.train]
    "a.b" = 3
    [step.a]
    run = "python s.py"
    params = ['train."a.b"']
    outputs = ["out"]
    """
    script = "import gitml\nopen('out', 'w').write(str(gitml.params()['train']['a.b']))\n"
    project = new_project(tmp_path, manifest, **{"s.py": script})
    project.repro()
    assert project.read("out") == "3"


def test_a_lock_that_a_power_cut_left_empty_counts_as_none(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "cat x > out"\ninputs = ["x"]\noutputs = ["out"]\n'
    project = new_project(tmp_path, manifest, x="1")
    project.repro()
    project.write(".gitml/lock/a.json", b"")
    assert project.repro().restored == ["a"]
    assert project.states() == {"a": "fresh"}


SUBMODULE = """
[step.whole]
run = "sh use.sh whole"
inputs = ["third"]
outputs = ["whole"]
[step.itself]
run = "sh use.sh itself"
inputs = ["third/lib"]
outputs = ["itself"]
[step.inside]
run = "sh use.sh inside"
inputs = ["third/lib/data/x"]
outputs = ["inside"]
[step.code]
run = "python third/lib/run.py"
outputs = ["code"]
[step.bytes]
run = "sh use.sh bytes"
code = ["third/lib/data"]
outputs = ["bytes"]
"""
EVERY = ("whole", "itself", "inside", "code", "bytes")


@pytest.fixture
def nested(tmp_path: Path) -> tuple[Project, Repo]:
    library = new_repo(tmp_path / "library", environ=isolated_environ(tmp_path / "home"))
    library.write("data/x", "1")
    library.write("run.py", "import near\n")
    library.write("near.py", "open('code', 'w').write('1')\n")
    library.write(".gitignore", "build\n")
    library.commit()
    project = new_project(tmp_path, SUBMODULE, third__y="1", **{"use.sh": "cat third/lib/data/x > $1\n"})
    allow = ("-c", "protocol.file.allow=always")
    project.repo.git(*allow, "submodule", "--quiet", "add", str(library.path), "third/lib")
    project.commit()
    assert sorted(project.repro().ran) == sorted(EVERY)
    settle(project)
    return project, Repo(project.path / "third/lib", project.repo.environ)


def test_a_submodule_is_keyed_by_its_commit(nested: tuple[Project, Repo]) -> None:
    project, library = nested
    before = library.git("rev-parse", "HEAD")
    library.git("commit", "-q", "--allow-empty", "-m", "nothing but a commit")
    assert project.states() == dict.fromkeys(EVERY, "stale")
    library.git("checkout", "-q", before)
    assert project.states() == dict.fromkeys(EVERY, "fresh")


@pytest.mark.parametrize("path", ["data/x", "near.py", "new"])
def test_a_submodule_with_changes_is_stale(nested: tuple[Project, Repo], path: str) -> None:
    project, library = nested
    library.write(path, "# changed\n")
    states = project.states()
    assert states["whole"] == states["itself"] == "stale"
    assert path == "new" or "stale" in (states["inside"], states["code"])
    library.git("stash", "-q", "--include-untracked")
    assert project.states() == dict.fromkeys(EVERY, "fresh")


def test_what_a_submodule_ignores_or_tools_leave_there_is_no_change(nested: tuple[Project, Repo]) -> None:
    project, library = nested
    library.write("build/x", "made")
    library.write("__pycache__/near.cpython-310.pyc", "left")
    assert project.states() == dict.fromkeys(EVERY, "fresh")


def test_a_submodule_that_is_not_checked_out_is_not_its_commit(nested: tuple[Project, Repo]) -> None:
    project, _ = nested
    project.write("gitml.toml", SUBMODULE.partition("[step.inside]")[0])
    project.repo.git("submodule", "--quiet", "deinit", "-f", "third/lib")
    assert project.states() == {"whole": "stale", "itself": "stale"}


def test_the_snapshot_of_a_step_with_code_in_a_submodule(nested: tuple[Project, Repo]) -> None:
    project, library = nested
    library.git("commit", "-q", "--allow-empty", "-m", "next")
    project.repro("code")
    runs = [json.loads(path.read_bytes()) for path in (project.cache / "runs").rglob("*.json")]
    last = max(runs, key=lambda run: str(run["id"]))
    assert last["step"] == "code"
    assert project.repo.git("rev-parse", f"{last['snapshot']}:third/lib") == library.git("rev-parse", "HEAD")
