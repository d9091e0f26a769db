"""What is wrong in the declaration: one clear message with its place, nothing run, nothing written, exit 2."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.functional.command import Called, Project, listing, new_project

DERIVED = tuple(
    f".git/gitml/{name}"
    for name in ("state.db", "state.db-wal", "state.db-shm", "state.db-journal", "tmp", "tmp/clock")
)


def refused(project: Project, *args: str) -> Called:
    """Call `repro` and give its end, after the checks that hold for every refusal."""
    before = listing(project.path)
    called = project.gitml("repro", *args, code=2)
    after = listing(project.path)
    new = {p for p in after if before.get(p) != after[p]} | {p for p in before if p not in after}
    assert {p for p in new if not p.startswith(DERIVED) and p not in (".git/gitml", ".git/index")} == set()
    assert project.calls() == []
    assert called.stderr.startswith("error: ") and called.stderr.count("error: ") == 1, called.stderr
    assert called.stdout == ""
    return called


def place(called: Called) -> tuple[str, int, int]:
    """The place that the message names."""
    found = re.search(r"([\w./-]+):(\d+):(\d+): ", called.stderr)
    assert found, called.stderr
    return found[1], int(found[2]), int(found[3])


A = '[step.a]\nrun = "echo a >> $RAN; echo 1 > out"\noutputs = ["out"]\n'
B = '[step.b]\nrun = "echo b >> $RAN; echo 1 > b"\noutputs = ["b"]\n'

ERRORS = {
    "unknown key": (A + 'ouputs = ["x"]\n', 4, "outputs"),
    "unknown top key": (A + "[stp.b]\n", 4, "step"),
    "wrong type": (A + "inputs = 5\n", 4, "inputs"),
    "wrong type inside": (A + 'inputs = ["x", 5]\n', 4, "inputs"),
    "no command": ('[step.a]\noutputs = ["out"]\n', 1, "run"),
    "duplicate output": (A + B.replace('outputs = ["b"]', 'outputs = ["b", "out"]'), 6, "out"),
    "same output twice": (A.replace('["out"]', '["out", "./out"]'), 3, "out"),
    "output inside another": (A + B.replace('outputs = ["b"]', 'outputs = ["out/b"]'), 6, "out/b"),
    "absolute path": (A.replace('["out"]', '["/tmp/out"]'), 3, "absolute"),
    "path that climbs out": (A.replace('["out"]', '["../out"]'), 3, ".."),
    "path into .git": (A.replace('["out"]', '[".git/hooks/pre-commit"]'), 3, ".git"),
    "path into .Git": (A.replace('["out"]', '["sub/.GIT/x"]'), 3, ".git"),
    "path into .gitml": (A.replace('["out"]', '[".gitml/lock/a.json"]'), 3, ".gitml"),
    "unknown parameter": (A + 'params = ["lr"]\n', 4, "lr"),
    "unknown parameter in a command": (A.replace("echo 1", "echo ${{ params.lr }}"), 2, "lr"),
    "unknown step in after": (A + 'after = ["bb"]\n' + B, 4, "bb"),
    "empty matrix": (A + "matrix = { fold = [] }\n", 4, "fold"),
    "hole in quotes": (A.replace("echo 1", "echo '${{ step.name }}'"), 2, "quote"),
    "input and output": (A + 'inputs = ["out"]\n', 4, "out"),
    "an empty path": (A.replace('["out"]', '[""]'), 3, "empty"),
    "matrix with one output for all": (A + "matrix = { fold = [1, 2] }\n", 3, "out"),
    "negative timeout": (A + "timeout = -1\n", 4, "timeout"),
    "unknown resource": (A + "resources = { cpu = 1 }\n", 4, "cpus"),
    "syntax": (A + "inputs = [\n", 5, ""),
    "key twice": (A + 'run = "again"\n', 4, ""),
    "newer gitml wanted": ('[project]\nmin_version = "999"\n' + A, 2, "999"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_mistake_is_shown_with_its_place(name: str, tmp_path: Path) -> None:
    manifest, line, word = ERRORS[name]
    called = refused(new_project(tmp_path, manifest))
    file, found, column = place(called)
    assert (file, found) == ("gitml.toml", line), called.stderr
    assert column >= 1
    assert word in called.stderr


def test_all_mistakes_in_meaning_are_shown_at_once(tmp_path: Path) -> None:
    called = refused(new_project(tmp_path, A + 'ouputs = ["x"]\nparams = ["lr"]\n' + B + "inputs = 7\n"))
    assert [int(line) for line in re.findall(r"gitml\.toml:(\d+):", called.stderr)] == [4, 5, 9]


def test_an_unknown_key_names_the_nearest_one(tmp_path: Path) -> None:
    assert "'outputs'" in refused(new_project(tmp_path, A + 'ouputs = ["x"]\n')).stderr


def test_the_offending_line_is_shown_with_a_caret(tmp_path: Path) -> None:
    lines = refused(new_project(tmp_path, A + 'ouputs = ["x"]\n')).stderr.splitlines()
    at = lines.index('  ouputs = ["x"]')
    assert lines[at + 1].strip() == "^"


def test_a_cycle_is_shown_whole(tmp_path: Path) -> None:
    steps = [("a", "c", "a"), ("b", "a", "b"), ("c", "b", "c")]
    manifest = "".join(f'[step.{s}]\nrun = "x"\ninputs = ["{i}.txt"]\noutputs = ["{o}.txt"]\n' for s, i, o in steps)
    called = refused(new_project(tmp_path, manifest))
    assert all(re.search(rf"\b{step}\b", called.stderr) for step in "abc")
    place(called)


def test_a_step_that_comes_after_itself_is_a_cycle(tmp_path: Path) -> None:
    assert "a" in refused(new_project(tmp_path, A + 'after = ["a"]\n')).stderr


def test_an_output_that_git_tracks_is_refused(tmp_path: Path) -> None:
    called = refused(new_project(tmp_path, A, out="tracked"))
    assert "output out of step a is tracked by Git" in called.stderr
    assert "git rm" in called.stderr


def test_an_output_folder_with_a_tracked_file_is_refused(tmp_path: Path) -> None:
    assert "tracked" in refused(new_project(tmp_path, A, out__file="tracked")).stderr


def test_an_unknown_step_on_the_command_line(tmp_path: Path) -> None:
    called = refused(new_project(tmp_path, A + B.replace("step.b", "step.banana")), "bananna")
    assert "did you mean 'banana'?" in called.stderr


def test_a_step_that_wants_more_gpus_than_there_are(tmp_path: Path) -> None:
    project = new_project(tmp_path, A + "resources = { gpus = 3 }\n")
    before = listing(project.path, without=(".git/",))
    called = project.gitml("repro", code=2, environ={"CUDA_VISIBLE_DEVICES": "0,1"})
    assert "needs 3 GPU(s); this machine has 2" in called.stderr
    assert listing(project.path, without=(".git/",)) == before


def lock_of_newer_format(project: Project) -> None:
    project.repro()
    project.calls()
    data = json.loads(project.read(".gitml/lock/a.json"))
    project.write(".gitml/lock/a.json", json.dumps({**data, "format": 99}))


def lock_that_is_damaged(project: Project) -> None:
    project.write(".gitml/lock/a.json", '{"format": 1, "key"')


def lock_that_is_a_link(project: Project) -> None:
    (project.path / ".gitml" / "lock").mkdir(parents=True)
    (project.path / ".gitml" / "lock" / "a.json").symlink_to("/etc/passwd")


def lock_with_a_path_outside(project: Project) -> None:
    lock_of_newer_format(project)
    data = json.loads(project.read(".gitml/lock/a.json"))
    data["outputs"]["../../evil"] = data["outputs"]["out"]
    project.write(".gitml/lock/a.json", json.dumps({**data, "format": 1}))


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lock_of_newer_format, "newer"),
        (lock_that_is_damaged, "JSON"),
        (lock_that_is_a_link, ".gitml/lock/a.json"),
        (lock_with_a_path_outside, ".."),
    ],
)
def test_a_lock_that_cannot_be_read_runs_nothing(spoil: Callable[[Project], None], word: str, tmp_path: Path) -> None:
    project = new_project(tmp_path, A)
    spoil(project)
    called = refused(project)
    assert ".gitml/lock/a.json" in called.stderr and word in called.stderr


def test_a_manifest_that_is_not_utf8(tmp_path: Path) -> None:
    project = new_project(tmp_path, A)
    project.write("gitml.toml", A.encode() + b'description = "\xff"\n')
    called = refused(project)
    assert "UTF-8" in called.stderr and "gitml.toml" in called.stderr


def test_a_huge_manifest_is_refused_unread(tmp_path: Path) -> None:
    """A hundred gigabytes of nothing: whoever reads them does not come back in time."""
    project = new_project(tmp_path, A)
    os.truncate(project.path / "gitml.toml", 100 << 30)
    for command in ("repro", "status"):
        called = project.gitml(command, code=2)
        assert called.stderr.startswith("error: gitml.toml")
    assert project.calls() == [] and not project.exists(".gitml")


def test_a_deeply_nested_manifest_is_refused(tmp_path: Path) -> None:
    project = new_project(tmp_path, A + "[params]\nx = " + "[" * 5000 + "]" * 5000 + "\n")
    assert "gitml.toml" in refused(project).stderr


def test_a_deeply_nested_lock_is_refused(tmp_path: Path) -> None:
    project = new_project(tmp_path, A)
    project.write(".gitml/lock/a.json", "[" * 200_000)
    assert ".gitml/lock/a.json" in refused(project).stderr


def test_no_declaration_at_all(tmp_path: Path) -> None:
    project = new_project(tmp_path, A)
    (project.path / "gitml.toml").unlink()
    assert "no gitml.toml" in refused(project).stderr


def test_two_declarations(tmp_path: Path) -> None:
    called = refused(new_project(tmp_path, A, **{"pyproject.toml": '[tool.gitml.step.x]\nrun = "x"\n'}))
    assert place(called)[0] == "pyproject.toml"


def test_code_that_git_ignores_is_named(tmp_path: Path) -> None:
    files = {"main.py": "import generated\n", ".gitignore": "generated.py\n"}
    project = new_project(tmp_path, '[step.a]\nrun = "python main.py >> $RAN"\n', **files)
    project.write("generated.py", "x = 1\n")
    assert "generated.py is ignored by Git" in refused(project).stderr


def test_an_input_that_is_missing_runs_nothing(tmp_path: Path) -> None:
    project = new_project(tmp_path, A + 'inputs = ["nowhere"]\n')
    called = project.gitml("repro", code=1)
    assert "input nowhere is missing" in called.stdout
    assert project.calls() == []
    assert not project.exists("out") and not project.exists(".gitml")


def test_an_output_through_a_link_that_leaves_the_project(tmp_path: Path) -> None:
    project = new_project(tmp_path, A.replace("> out", "> link/out").replace('"out"', '"link/out"'))
    outside = tmp_path / "outside"
    outside.mkdir()
    (project.path / "link").symlink_to(outside)
    called = project.gitml("repro", code=None)
    assert called.code != 0
    assert list(outside.iterdir()) == []
    assert project.calls() == []


def test_outside_a_repository(tmp_path: Path) -> None:
    project = new_project(tmp_path, A)
    called = project.gitml("repro", cwd="../home", code=2)
    assert called.stderr.startswith("error: ")


@pytest.mark.parametrize("args", [["--no-such-option"], ["-j", "0"], ["-j", "many"]])
def test_a_wrong_command_line(args: list[str], tmp_path: Path) -> None:
    project = new_project(tmp_path, A)
    assert project.gitml("repro", *args, code=2).stdout == ""
    assert project.calls() == []


@pytest.mark.parametrize("link", [".gitml", ".gitml/lock"])
def test_a_lock_folder_that_is_a_link_runs_nothing(link: str, tmp_path: Path) -> None:
    project = new_project(tmp_path, A)
    outside = tmp_path / "outside"
    outside.mkdir()
    (project.path / link).parent.mkdir(exist_ok=True)
    (project.path / link).symlink_to(outside)
    called = refused(project)
    assert ".gitml" in called.stderr
    assert list(outside.iterdir()) == []


def test_a_declaration_of_fifty_megabytes_is_refused_unread(tmp_path: Path) -> None:
    project = new_project(tmp_path, A)
    with open(project.path / "gitml.toml", "r+b") as file:
        file.truncate(50 << 20)  # a hole: reading it would give NULs, which are another error
    called = project.gitml("repro", code=2)
    assert called.stderr.startswith("error: gitml.toml:1:1: the file has 52428800 bytes; at most 8388608 are read\n")
    assert project.calls() == []


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_declaration_that_is_no_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None]) -> None:
    project = new_project(tmp_path, A)
    (project.path / "gitml.toml").unlink()
    make(project.path / "gitml.toml")
    assert "gitml.toml is not a file" in project.gitml("status", code=2).stderr
