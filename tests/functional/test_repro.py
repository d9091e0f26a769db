"""What `repro` runs, restores and leaves alone."""

from __future__ import annotations

import json
import os
import stat
import unicodedata
from pathlib import Path

import pytest

from tests.functional.command import Project, finish, new_project

CHAIN = """
[params]
seed = 1
unused = 1

[step.clean]
run = "echo clean >> $RAN; tr -d x < raw.txt > clean.txt"
inputs = ["raw.txt"]
outputs = ["clean.txt"]

[step.count]
run = "echo count >> $RAN; wc -c < clean.txt > count.txt; cat $GITML_PARAMS >> count.txt"
inputs = ["clean.txt"]
params = ["seed"]
outputs = ["count.txt"]

[step.report]
run = "echo report >> $RAN; cat count.txt > report.txt"
inputs = ["count.txt"]
outputs = ["report.txt"]
"""


@pytest.fixture
def chain(tmp_path: Path) -> Project:
    project = new_project(tmp_path, CHAIN)
    project.write("raw.txt", "axbxc")
    project.commit("data")
    return project


def built(project: Project, *args: str) -> Project:
    project.repro(*args)
    project.calls()
    return project


def edit(project: Project, before: str, after: str, path: str = "gitml.toml") -> None:
    text = project.read(path)
    assert before in text
    project.write(path, text.replace(before, after))


def test_the_first_run_executes_every_step_in_order(chain: Project) -> None:
    called = chain.repro()
    assert called.ran == chain.calls() == ["clean", "count", "report"]
    assert chain.read("clean.txt") == "abc"


def test_a_second_run_executes_nothing(chain: Project) -> None:
    built(chain)
    for _ in range(3):
        assert set(chain.repro().outcomes.values()) == {"fresh"}
    assert chain.calls() == []


def test_a_second_run_executes_nothing_without_the_state_database(chain: Project) -> None:
    built(chain)
    for path in chain.machine.glob("state.db*"):
        path.unlink()
    assert set(chain.repro().outcomes.values()) == {"fresh"}
    assert chain.calls() == []


def test_a_second_run_in_a_subfolder_executes_nothing(chain: Project) -> None:
    built(chain)
    chain.write("deep/down/file")
    assert set(chain.gitml("repro", "--json", cwd="deep/down").outcomes.values()) == {"fresh"}
    assert chain.calls() == []


def test_touching_files_executes_nothing(chain: Project) -> None:
    built(chain)
    for path in ("raw.txt", "clean.txt", "count.txt", "gitml.toml"):
        os.utime(chain.path / path)
    assert set(chain.repro().outcomes.values()) == {"fresh"}
    assert chain.calls() == []


def test_an_upstream_that_reruns_to_the_same_bytes_cuts_off(chain: Project) -> None:
    built(chain)
    chain.write("raw.txt", "xaxbxcx")
    called = chain.repro()
    assert called.ran == chain.calls() == ["clean"]
    assert called.outcomes == {"clean": "ran", "count": "fresh", "report": "fresh"}


def test_a_change_in_the_middle_runs_what_is_below(chain: Project) -> None:
    built(chain)
    edit(chain, "seed = 1", "seed = 2")
    called = chain.repro()
    assert called.ran == chain.calls() == ["count", "report"]
    assert called.reasons["count"] == ["param seed 1 -> 2"]


def test_a_parameter_that_no_step_declares_changes_nothing(chain: Project) -> None:
    built(chain)
    edit(chain, "unused = 1", "unused = 2")
    assert chain.repro().ran == chain.calls() == []


def test_a_parameter_of_another_type_is_another_value(chain: Project) -> None:
    built(chain)
    edit(chain, "seed = 1", "seed = 1.0")
    assert chain.repro().ran == ["count", "report"]


def test_going_back_to_an_earlier_parameter_restores(chain: Project) -> None:
    built(chain)
    before = chain.read("count.txt")
    edit(chain, "seed = 1", "seed = 2")
    built(chain)
    assert chain.read("count.txt") != before
    edit(chain, "seed = 2", "seed = 1")
    called = chain.repro()
    assert chain.calls() == []
    assert called.restored == ["count", "report"]
    assert chain.read("count.txt") == before


def test_going_back_to_an_earlier_commit_restores(chain: Project) -> None:
    built(chain)
    first = chain.commit("built once")
    content = chain.read("report.txt")
    chain.write("raw.txt", "another one")
    built(chain)
    chain.commit("built twice")
    chain.repo.git("checkout", "-q", first)
    called = chain.repro()
    assert chain.calls() == []
    assert called.ran == []
    assert called.restored == ["clean", "count", "report"]
    assert chain.read("report.txt") == content
    assert chain.repo.git("status", "--porcelain") == ""


def test_outputs_that_were_deleted_are_restored(chain: Project) -> None:
    built(chain)
    (chain.path / "clean.txt").unlink()
    (chain.path / "report.txt").unlink()
    called = chain.repro()
    assert chain.calls() == []
    assert called.outcomes == {"clean": "restored", "count": "fresh", "report": "restored"}


def test_outputs_whose_objects_are_gone_are_made_again(chain: Project) -> None:
    built(chain)
    (chain.path / "clean.txt").unlink()
    for path in (chain.cache / "objects").rglob("*"):
        if path.is_file():
            path.unlink()
    assert chain.repro().ran == chain.calls() == ["clean"]


def test_a_damaged_object_is_never_handed_out(chain: Project) -> None:
    built(chain)
    for path in (chain.cache / "objects").rglob("*"):
        if path.is_file() and path.read_bytes() == b"abc":
            path.chmod(0o644)
            path.write_bytes(b"abX")
    (chain.path / "clean.txt").unlink()
    chain.repro(code=None)
    chain.repro()
    assert chain.read("clean.txt") == "abc"
    assert list((chain.cache / "quarantine").iterdir())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('params = ["seed"]\n', ""),
        ('inputs = ["clean.txt"]', "inputs = []"),
        ('inputs = ["clean.txt"]', 'inputs = ["clean.txt", "raw.txt"]'),
        ('outputs = ["count.txt"]', 'outputs = ["count.txt", "clean2.txt"]'),
        ("wc -c", "wc  -c"),
        ('inputs = ["clean.txt"]', 'inputs = ["clean.txt"]\nenv = ["EXTRA"]'),
        ('inputs = ["clean.txt"]', 'inputs = ["clean.txt"]\nshell = "/bin/sh -e"'),
    ],
)
def test_what_enters_the_key_makes_stale(chain: Project, before: str, after: str) -> None:
    built(chain)
    edit(chain, before, after)
    chain.write("clean2.txt") if "clean2" in after else None
    assert chain.states("count")["count"] == "stale"
    chain.repro("count", code=None)
    assert chain.calls() == ["count"]


def test_removing_an_output_makes_stale(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "echo a >> $RAN; echo 1 > one; echo 2 > two"\noutputs = ["one", "two"]\n'
    project = built(new_project(tmp_path, manifest))
    edit(project, 'outputs = ["one", "two"]', 'outputs = ["one"]')
    called = project.repro()
    assert called.ran == project.calls() == ["a"]
    assert called.reasons["a"] == ["output two removed"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[step.count]", "[step.counting]"),
        ("[step.count]", '[step.count]\ndescription = "Counts."'),
        ("[step.count]", '[step.count]\nlabels = ["x"]'),
        ("[step.count]", "[step.count]\nresources = { cpus = 2, memory = '1GiB' }"),
        ("[step.count]", '[step.count]\ntimeout = "1h"\nretries = 2'),
        ("[step.count]", "# a comment\n[step.count] # another"),
        ('inputs = ["clean.txt"]', 'inputs = [ # here\n  "./clean.txt",\n]'),
        ("[params]\nseed = 1\nunused = 1", "params = { unused = 1, seed = 0x1 }"),
    ],
)
def test_what_does_not_enter_the_key_rebuilds_nothing(chain: Project, before: str, after: str) -> None:
    built(chain)
    edit(chain, before, after)
    called = chain.repro()
    assert chain.calls() == []
    assert set(called.outcomes.values()) == {"fresh"}
    assert set(chain.repro().outcomes.values()) == {"fresh"}


def test_a_renamed_step_takes_its_lock_along(chain: Project) -> None:
    built(chain)
    edit(chain, "[step.count]", "[step.counting]")
    chain.repro()
    locks = sorted(path.name for path in (chain.path / ".gitml" / "lock").iterdir())
    assert locks == ["clean.json", "counting.json", "report.json"]


def test_a_step_without_inputs_is_cached_by_its_command(tmp_path: Path) -> None:
    project = built(new_project(tmp_path, '[step.a]\nrun = "echo a >> $RAN; echo 1 > out"\noutputs = ["out"]\n'))
    assert project.repro().ran == []
    edit(project, "echo 1", "echo 2")
    assert project.repro().ran == project.calls() == ["a"]
    assert project.read("out") == "2\n"


def test_a_step_without_outputs_runs_once_for_its_key(tmp_path: Path) -> None:
    project = new_project(tmp_path, '[step.check]\nrun = "echo check >> $RAN"\ninputs = ["x"]\n', x="1")
    project.repro()
    project.repro()
    assert project.calls() == ["check"]
    project.write("x", "2")
    project.repro()
    assert project.calls() == ["check"]


def test_an_always_step_runs_each_time_and_what_is_below_cuts_off(tmp_path: Path) -> None:
    manifest = """
[step.ask]
run = "echo ask >> $RAN; echo same > answer"
always = true
outputs = ["answer"]
[step.use]
run = "echo use >> $RAN; cp answer used"
inputs = ["answer"]
outputs = ["used"]
"""
    project = new_project(tmp_path, manifest)
    project.repro()
    assert project.repro().ran == ["ask"]
    assert project.calls() == ["ask", "use", "ask"]


def test_a_frozen_step_does_not_run_though_stale(chain: Project) -> None:
    built(chain)
    edit(chain, "[step.count]", "[step.count]\nfrozen = true")
    edit(chain, "seed = 1", "seed = 2")
    assert chain.repro().ran == chain.calls() == []


@pytest.mark.parametrize("name", ["GITML_TEST_VALUE"])
def test_a_declared_variable_makes_stale(tmp_path: Path, name: str) -> None:
    manifest = f'[step.a]\nrun = "echo a >> $RAN; echo ${name} > out"\nenv = ["{name}"]\noutputs = ["out"]\n'
    project = new_project(tmp_path, manifest)
    project.repro(environ={name: "one"})
    assert project.repro(environ={name: "one"}).ran == []
    assert project.repro(environ={name: "two"}).ran == ["a"]
    assert project.repro().ran == ["a"]
    assert project.repro(environ={name: "one"}).restored == ["a"]
    assert "one" not in project.read(".gitml/lock/a.json")


def test_a_variable_that_is_not_declared_changes_nothing(tmp_path: Path) -> None:
    project = new_project(tmp_path, '[step.a]\nrun = "echo a >> $RAN; echo 1 > out"\noutputs = ["out"]\n')
    project.repro(environ={"OTHER": "1"})
    assert project.repro(environ={"OTHER": "2"}).ran == []


def test_targets_run_what_they_need_and_no_more(chain: Project) -> None:
    assert chain.repro("count").ran == ["clean", "count"]
    assert not chain.exists("report.txt")
    assert chain.repro("report.txt").ran == ["report"]


def test_downstream_also_runs_what_needs_the_target(chain: Project) -> None:
    built(chain)
    chain.write("raw.txt", "longer")
    edit(chain, "[step.report]", '[step.other]\nrun = "echo other > other"\noutputs = ["other"]\n[step.report]')
    assert chain.repro("clean", "--downstream").ran == ["clean", "count", "report"]


def test_force_runs_the_named_step_alone(chain: Project) -> None:
    built(chain)
    assert chain.repro("-f", "count").ran == chain.calls() == ["count"]


def test_force_without_a_name_runs_all(chain: Project) -> None:
    built(chain)
    assert chain.repro("-f").ran == ["clean", "count", "report"]


def test_a_dry_run_runs_and_writes_nothing(chain: Project) -> None:
    called = chain.gitml("repro", "-n")
    assert "clean" in called.stdout and "never run" in called.stdout
    assert chain.calls() == []
    assert not chain.exists("clean.txt") and not chain.exists(".gitml")


def test_verify_says_that_the_outputs_are_the_same(chain: Project) -> None:
    built(chain)
    called = chain.repro("--verify", "count")
    assert chain.calls() == ["count"]
    assert called.outcomes["count"] == "verified"


def test_verify_names_an_output_that_differs_and_leaves_the_recorded_one(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "echo a >> $RAN; date +%s%N > out; echo same > other"\noutputs = ["out", "other"]\n'
    project = built(new_project(tmp_path, manifest))
    recorded, lock = project.read("out"), project.read(".gitml/lock/a.json")
    called = project.repro("--verify", "a", code=1)
    assert project.calls() == ["a"]
    assert called.settled("a")["text"] == "differs  out"
    assert (project.read("out"), project.read(".gitml/lock/a.json")) == (recorded, lock)
    assert project.repro().ran == []
    (project.path / "out").unlink()
    assert project.repro().restored == ["a"]
    assert project.read("out") == recorded


def test_verify_of_a_stale_step_compares_nothing(chain: Project) -> None:
    assert "nothing is recorded" in chain.repro("--verify", "clean", code=1).settled("clean")["text"]
    built(chain)
    edit(chain, "seed = 1", "seed = 2")
    called = chain.repro("--verify", "count", code=1)
    assert "nothing is recorded" in called.settled("count")["text"]
    assert chain.calls() == []
    assert chain.states()["count"] == "stale"


def test_a_step_without_outputs_runs_once_in_two_runs_at_a_time(tmp_path: Path) -> None:
    project = new_project(tmp_path, '[step.check]\nrun = "echo check >> $RAN; sleep 0.3"\n')
    for call in [project.start("repro") for _ in range(3)]:
        finish(call)
    assert project.calls() == ["check"]


def test_a_list_of_commands_stops_at_the_first_failure(tmp_path: Path) -> None:
    manifest = """
[step.a]
run = ["echo one >> $RAN", "echo two >> $RAN; exit 3", "echo three >> $RAN"]
outputs = ["out"]
"""
    project = new_project(tmp_path, manifest)
    called = project.repro(code=1)
    assert project.calls() == ["one", "two"]
    assert "exit 3" in called.settled("a")["text"]


def test_argv_is_run_without_a_shell(tmp_path: Path) -> None:
    project = new_project(tmp_path, '[step.a]\nargv = ["touch", "$HOME; and x"]\noutputs = ["$HOME; and x"]\n')
    assert project.repro().ran == ["a"]
    assert project.exists("$HOME; and x")


def test_cwd_is_where_the_command_runs(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "pwd > here"\ncwd = "sub"\noutputs = ["sub/here"]\n'
    project = new_project(tmp_path, manifest, sub__keep="")
    project.repro()
    assert project.read("sub/here") == f"{project.path}/sub\n"


def test_parents_of_outputs_are_made(tmp_path: Path) -> None:
    project = new_project(tmp_path, '[step.a]\nrun = "echo 1 > a/b/c/out"\noutputs = ["a/b/c/out"]\n')
    assert project.repro().ran == ["a"]
    assert project.read("a/b/c/out") == "1\n"


def test_keep_going_runs_what_does_not_need_the_failure(tmp_path: Path) -> None:
    manifest = """
[step.bad]
run = "exit 1"
outputs = ["bad"]
[step.below]
run = "echo below >> $RAN"
inputs = ["bad"]
[step.good]
run = "echo good >> $RAN; echo 1 > good"
after = ["slow"]
outputs = ["good"]
[step.slow]
run = "sleep 0.3; echo slow >> $RAN"
"""
    project = new_project(tmp_path, manifest)
    stopped = project.repro("-j", "1", code=1)
    assert stopped.outcomes["below"] == "skipped"
    project.calls()
    called = project.repro("-k", "-j", "1", code=1)
    assert called.outcomes["bad"] == "failed" and called.outcomes["below"] == "skipped"
    assert called.outcomes["good"] in ("ran", "fresh")
    assert "below" not in project.calls()
    assert project.exists("good")


def test_a_matrix_runs_each_instance_with_its_own_value(tmp_path: Path) -> None:
    manifest = """
[step.train]
run = "echo train-${{ matrix.fold }} >> $RAN; echo ${{ matrix.fold }} > m-${{ matrix.fold }}"
matrix = { fold = [0, 1, 2] }
outputs = ["m-${{ matrix.fold }}"]
[step.all]
run = "cat m-* > all; echo all >> $RAN"
inputs = ["m-*"]
outputs = ["all"]
"""
    project = new_project(tmp_path, manifest)
    assert set(project.repro().ran) == {"train@fold=0", "train@fold=1", "train@fold=2", "all"}
    assert project.calls()[-1] == "all"
    assert project.read("all") == "0\n1\n2\n"
    edit(project, "[0, 1, 2]", "[0, 1, 2, 5]")
    assert project.repro().ran == ["train@fold=5", "all"]
    assert project.repro("train@fold=1").outcomes == {"train@fold=1": "fresh"}


def test_a_glob_that_gains_a_file_makes_stale(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "cat d/*.txt > out"\ninputs = ["d/*.txt"]\noutputs = ["out"]\n'
    project = new_project(tmp_path, manifest, **{"d__1.txt": "1"})
    project.repro()
    project.write("d/2.txt", "2")
    called = project.repro()
    assert called.reasons["a"] == ["input d/2.txt added"]
    project.write("d/2.csv", "2")
    assert project.repro().ran == []
    (project.path / "d" / "1.txt").unlink()
    assert project.repro().reasons["a"] == ["input d/1.txt removed"]


def test_metrics_are_recorded_in_the_lock(tmp_path: Path) -> None:
    manifest = """[step.a]\nrun = "echo '{\\"loss\\": 0.5, \\"name\\": \\"x\\"}' > m.json"\nmetrics = ["m.json"]\n"""
    project = new_project(tmp_path, manifest)
    project.repro()
    assert json.loads(project.read(".gitml/lock/a.json"))["metrics"] == {"m.json": {"loss": 0.5}}


def test_an_output_may_live_in_git(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "echo 1 > report.md; echo a >> $RAN"\noutputs = [{ path = "report.md", git = true }]\n'
    project = built(new_project(tmp_path, manifest))
    project.commit("with the report")
    assert project.repo.git("ls-files", "report.md") == "report.md"
    assert project.repro().ran == project.calls() == []


def test_an_output_that_is_not_cached_is_made_again(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "echo a >> $RAN; echo secret-bytes > out"\noutputs = ["out"]\ncache = false\n'
    project = built(new_project(tmp_path, manifest))
    assert project.repro().ran == []
    (project.path / "out").unlink()
    assert project.repro().ran == project.calls() == ["a"]
    objects = (path for path in (project.cache / "objects").rglob("*") if path.is_file())
    assert all(path.read_bytes() != b"secret-bytes\n" for path in objects)


MAKE_ALL = """
import os, unicodedata
os.makedirs("out/empty")
os.makedirs("out/deep/er")
open("out/run.sh", "w").write("#!/bin/sh\\n")
os.chmod("out/run.sh", 0o755)
open("out/deep/er/data.bin", "wb").write(bytes(range(256)) * 1024)
os.symlink("deep/er/data.bin", "out/link")
os.symlink("deep", "out/folder link")
os.symlink("nowhere", "out/broken")
open("out/" + unicodedata.normalize("NFC", "\\u00e9"), "w").write("nfc")
open("out/" + unicodedata.normalize("NFD", "\\u00e9") + "2", "w").write("nfd")
open("out/with space ", "w").write("space")
open("out/new\\nline", "w").write("newline")
open("out/-dash", "w").write("dash")
open(b"out/\\xff\\xfe", "w").write("not utf-8")
open("out/zero", "w")
"""


def test_a_folder_comes_back_as_it_was(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "echo a >> $RAN; python make.py"\noutputs = ["out"]\n'
    project = new_project(tmp_path, manifest, **{"make.py": MAKE_ALL})
    project.repro()
    before = tree(project.path / "out")
    assert len(before) == 15
    project.repo.git("clean", "-fdxq")
    assert not project.exists("out")
    assert project.repro().restored == ["a"]
    assert tree(project.path / "out") == before
    assert project.calls() == ["a"]
    names = {os.path.basename(name) for name in before}
    assert os.fsencode(unicodedata.normalize("NFC", "é")) in names
    assert os.fsencode(unicodedata.normalize("NFD", "é")) + b"2" in names


@pytest.mark.parametrize(
    "change", ["chmod -x out/run.sh", "rmdir out/empty", "ln -sfn elsewhere out/broken", "touch out/new"]
)
def test_a_folder_that_was_changed_is_brought_back(tmp_path: Path, change: str) -> None:
    manifest = '[step.a]\nrun = "python make.py"\noutputs = ["out"]\n'
    project = new_project(tmp_path, manifest, **{"make.py": MAKE_ALL})
    project.repro()
    before = tree(project.path / "out")
    os.system(f"cd {project.path} && {change}")
    assert project.states() == {"a": "cached"}
    assert project.repro().restored == ["a"]
    assert tree(project.path / "out") == before


def tree(root: Path) -> dict[bytes, tuple[str, bytes]]:
    found: dict[bytes, tuple[str, bytes]] = {}
    for folder, folders, files in os.walk(os.fsencode(root)):
        for name in (*folders, *files):
            full = os.path.join(folder, name)
            status = os.lstat(full)
            if stat.S_ISLNK(status.st_mode):
                found[full] = ("link", os.readlink(full))
            elif stat.S_ISDIR(status.st_mode):
                found[full] = ("folder", b"")
            else:
                executable = "executable" if status.st_mode & stat.S_IXUSR else "file"
                found[full] = (executable, Path(os.fsdecode(full)).read_bytes())
    return found
