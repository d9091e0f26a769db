"""`gitml add`: what becomes a source, what it records, what it refuses, and what a fault leaves."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.functional.command import Called, Project, finish, listing, new_project
from tests.functional.killing import FaultServer

STEP = '[step.use]\nrun = "cat data/raw/* > out"\ninputs = ["data/raw"]\noutputs = ["out"]\n'


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = new_project(tmp_path, STEP)
    made.write("data/raw/a.csv", "1")
    made.write("data/raw/sub/b.csv", "2")
    return made


def added(project: Project, *args: str) -> list[dict[str, Any]]:
    data = json.loads(project.gitml("add", "--json", *args).stdout)
    assert data["schema"] == "gitml-add/1"
    return list(data["sources"])


def pointer(project: Project, path: str) -> dict[str, Any]:
    return dict(json.loads(project.read(f".gitml/sources/{path}.json")))


def stored(project: Project, digest: str) -> bytes:
    name = digest.removeprefix("blake3:")
    return (project.cache / "objects" / name[:2] / name[2:]).read_bytes()


def refused(project: Project, *args: str) -> Called:
    """Call `gitml add`, which must end with 2 and write nothing in the worktree, nor in `info/exclude`."""
    special = (".git/", "pipe", "socket")  # opening them would wait for somebody
    before, exclude = listing(project.path, without=special), project.path / ".git/info/exclude"
    text = exclude.read_bytes()
    called = project.gitml("add", *args, code=2)
    assert listing(project.path, without=special) == before
    assert exclude.read_bytes() == text
    assert called.stderr.startswith("error: ")
    assert not (project.path / ".gitml/sources").exists() or ".gitml/sources" in before
    return called


def test_a_folder_is_stored_ignored_and_named_by_a_pointer(project: Project) -> None:
    (one,) = added(project, "data/raw")
    assert (one["path"], one["state"], one["files"], one["size"]) == ("data/raw", "added", 2, 2)
    assert pointer(project, "data/raw") == {
        "format": 1,
        "path": "data/raw",
        "entry": {"mode": "directory", "digest": one["digest"], "size": 2, "files": 2},
    }
    assert stored(project, one["digest"]).startswith(b"gitml-tree/1\n")
    assert project.repo.git("status", "--short", "-uall") == "?? .gitml/sources/data/raw.json"


def test_a_file_is_a_source_too(project: Project) -> None:
    (one,) = added(project, "data/raw/a.csv")
    assert pointer(project, "data/raw/a.csv")["entry"]["mode"] == "file"
    assert stored(project, one["digest"]) == b"1"


@pytest.mark.parametrize("kind", ["hardlink", "symlink"])
def test_the_kind_of_link_changes_nothing_of_what_is_recorded(project: Project, kind: str) -> None:
    project.write("data/long", b"l" * (2 << 20))
    project.write("long", b"m" * (2 << 20))
    pointers = {}
    for kinds in ("copy", f"{kind},copy"):
        project.gitml("config", "cache.link", kinds)
        added(project, "data", "long")
        pointers[kinds] = pointer(project, "data"), pointer(project, "long")
        shutil.rmtree(project.cache)
        shutil.rmtree(project.path / ".gitml/sources")
    assert len({json.dumps(found) for found in pointers.values()}) == 1


def test_a_glob_adds_each_match(project: Project) -> None:
    project.write("data/x.csv", "x")
    project.write("data/y.csv", "y")
    assert [one["path"] for one in added(project, "--glob", "data/*.csv")] == ["data/x.csv", "data/y.csv"]
    assert "nothing matches" in refused(project, "--glob", "data/*.parquet").stderr


def test_paths_are_those_of_the_folder_it_is_called_in(project: Project) -> None:
    project.gitml("add", "raw", cwd="data")
    assert pointer(project, "data/raw")["path"] == "data/raw"
    project.write("data/z.csv")
    project.gitml("add", "--glob", "*.csv", cwd="data")
    assert pointer(project, "data/z.csv")["path"] == "data/z.csv"
    project.gitml("add", str(project.path / "data" / "raw"))


def test_added_again_unchanged_it_says_so_and_writes_nothing(project: Project) -> None:
    project.gitml("add", "data/raw")
    before = listing(project.path, without=(".git/",))
    called = project.gitml("add", "data/raw/")
    assert "data/raw  unchanged" in called.stdout
    assert listing(project.path, without=(".git/",)) == before


def test_a_new_version_is_recorded_with_what_changed(project: Project) -> None:
    project.gitml("add", "data/raw")
    project.write("data/raw/a.csv", "one")
    project.write("data/raw/new/c.csv", "3")
    project.write("data/raw/new/d.csv", "4")
    shutil.rmtree(project.path / "data/raw/sub")
    (one,) = added(project, "data/raw")
    assert (one["state"], one["added"], one["changed"], one["deleted"]) == ("recorded", 2, 1, 1)
    assert one["first"] == {"added": ["new/c.csv", "new/d.csv"], "changed": ["a.csv"], "deleted": ["sub/b.csv"]}
    assert pointer(project, "data/raw")["entry"]["digest"] == one["digest"]


def test_the_first_names_are_shown_and_the_rest_counted(project: Project) -> None:
    project.gitml("add", "data/raw")
    for number in range(12):
        project.write(f"data/raw/n{number:02}", "")
    shown = project.gitml("add", "data/raw").stdout
    assert "recorded  12 added" in shown
    assert "    + data/raw/n09\n    + and 2 more added\n" in shown


def test_a_path_inside_a_source_records_that_source(project: Project) -> None:
    project.gitml("add", "data/raw")
    project.write("data/raw/new.csv", "3")
    called = project.gitml("add", "data/raw/new.csv")
    assert "data/raw  recorded  1 added" in called.stdout
    assert "data/raw/new.csv lies inside this source" in called.stdout
    assert not (project.path / ".gitml/sources/data/raw").exists()
    (project.path / "data/raw/new.csv").unlink()
    (one,) = added(project, "data/raw/new.csv")
    assert (one["deleted"], one["inside"]) == (1, ["data/raw/new.csv"])


def test_a_path_that_lies_in_another_of_the_same_call_is_part_of_it(project: Project) -> None:
    assert [one["path"] for one in added(project, "data/raw/a.csv", "data/raw")] == ["data/raw"]


def test_junk_is_left_out_as_it_is_for_steps(project: Project) -> None:
    (clean,) = added(project, "data/raw")
    project.write("data/raw/.DS_Store", "junk")
    project.write("data/raw/__pycache__/x.pyc", "junk")
    (again,) = added(project, "data/raw")
    assert (again["state"], again["digest"]) == ("unchanged", clean["digest"])


def test_it_works_in_a_project_without_steps(tmp_path: Path) -> None:
    project = new_project(tmp_path, "")
    project.write("raw", "1")
    project.gitml("add", "raw")
    assert project.gitml("status").stdout == "sources: 1 clean\n"
    assert project.gitml("repro").code == 0


ODD = [
    "new\nline",
    "é",
    "sp ace ",
    "*[x]?",
    "-dash",
    "a.json",
    "\udcff\udcfe",
    "x" * 255,
    "#hash",
    "!bang",
    "back\\slash",
]


@pytest.mark.parametrize("name", ODD)
def test_odd_names_work_as_sources_and_inside_of_them(name: str, tmp_path: Path) -> None:
    project = new_project(tmp_path, "")
    project.write(f"raw/{name}", "1")
    project.write(f"more/{name}/f", "2")
    project.gitml("add", "--", f"raw/{name}", f"more/{name}")
    assert project.repo.git("status", "--short", "-uall", "raw", "more") == ""
    assert project.gitml("status", "--check").stdout == "sources: 2 clean\n"
    project.write(f"more/{name}/f", "changed")
    shown = project.gitml("status", "--check", code=3).stdout
    assert len(shown.splitlines()) == 2
    project.gitml("mv", "--", f"more/{name}", "moved")
    project.gitml("rm", "--", "moved", f"raw/{name}")


def test_a_folder_in_dot_json_does_not_meet_a_pointer(tmp_path: Path) -> None:
    project = new_project(tmp_path, "")
    project.write("a", "1")
    project.write("a.json/b", "2")
    project.gitml("add", "a", "a.json/b")
    found = json.loads(project.gitml("status", "--json").stdout)["sources"]
    assert [(one["path"], one["state"]) for one in found] == [("a", "clean"), ("a.json/b", "clean")]


def test_sources_that_only_case_tells_apart_are_refused(project: Project) -> None:
    project.write("data/Raw", "1")
    assert "where case" in refused(project, "data/raw", "data/Raw").stderr
    project.gitml("add", "data/raw")
    assert "sources data/Raw and data/raw are one path" in refused(project, "data/Raw").stderr


def test_what_git_tracks_is_refused(project: Project) -> None:
    project.write("tracked/x", "1")
    project.repo.git("add", "tracked")
    for path in ("tracked/x", "tracked"):
        called = refused(project, path)
        assert f"{path} is tracked by Git" in called.stderr
        assert f"hint: git rm -r --cached {path}" in called.stderr


@pytest.mark.parametrize("path", ["out", "out/inner", "Out"])
def test_what_overlaps_an_output_is_refused(path: str, project: Project) -> None:
    project.write(path, "1")
    assert "an output of step use" in refused(project, path).stderr


def test_what_holds_a_source_is_refused(project: Project) -> None:
    project.gitml("add", "data/raw/sub")
    called = refused(project, "data/raw")
    assert "data/raw holds data/raw/sub" in called.stderr
    assert "gitml rm data/raw/sub" in called.stderr


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("../elsewhere", "lies outside the project"),
        ("/etc/passwd", "lies outside the project"),
        (".", "the project itself"),
        (".git", "may not enter .git"),
        (".gitml", "may not enter .gitml"),
        ("data/nothing", "data/nothing does not exist"),
        ("gitml.toml", "tracked by Git"),
        ("link", "link is a symlink"),
        ("way/raw", "leads through way"),
        ("pipe", "is not a file or folder"),
        ("socket", "is not a file or folder"),
    ],
)
def test_what_cannot_be_a_source_is_refused(path: str, told: str, project: Project) -> None:
    (project.path.parent / "elsewhere").write_text("x")
    (project.path / "link").symlink_to("data/raw")
    (project.path / "way").symlink_to("data")
    os.mkfifo(project.path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(project.path)  # a socket's path may have 107 bytes
        listening.bind("socket")
        os.chdir(here)
    called = refused(project, "data/raw", path)
    assert told in called.stderr


@pytest.mark.parametrize("text", ["/etc/passwd", "../../../outside", "sub/../../../.."])
def test_a_link_that_leads_outside_is_refused_by_name(text: str, project: Project) -> None:
    (project.path / "data/raw/link").symlink_to(text)
    called = refused(project, "data/raw")
    assert "data/raw/link" in called.stderr and "leads outside the project" in called.stderr


def test_a_link_that_stays_inside_is_kept_as_a_link(project: Project) -> None:
    (project.path / "data/raw/link").symlink_to("sub/b.csv")
    project.gitml("add", "data/raw")
    assert project.gitml("status", "--check", code=None).stdout.count("changed") == 0


def test_a_pipe_inside_is_refused_by_name(project: Project) -> None:
    os.mkfifo(project.path / "data/raw/pipe")
    called = project.gitml("add", "data/raw", code=1)
    assert "data/raw/pipe is not a file" in called.stderr
    assert not project.exists(".gitml/sources")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_named(project: Project) -> None:
    (project.path / "data/raw/a.csv").chmod(0)
    called = project.gitml("add", "data/raw", code=1)
    assert "data/raw/a.csv: Permission denied" in called.stderr


def test_a_missing_source_is_not_recorded_as_empty(project: Project) -> None:
    project.gitml("add", "data/raw")
    shutil.rmtree(project.path / "data/raw")
    called = refused(project, "data/raw")
    assert "source data/raw is missing" in called.stderr
    assert "gitml checkout data/raw" in called.stderr


def test_a_file_that_changes_while_it_is_added_is_not_recorded(project: Project) -> None:
    path = project.write("data/raw/big", b"\0" * (64 << 20))
    stop = threading.Event()

    def scribble() -> None:
        with path.open("r+b") as file:
            while not stop.is_set():
                file.seek(0)
                file.write(os.urandom(16))
                file.flush()

    thread = threading.Thread(target=scribble)
    thread.start()
    try:
        called = project.gitml("add", "data/raw", code=1)
    finally:
        stop.set()
        thread.join()
    assert "data/raw/big changes while it is being read" in called.stderr
    assert not project.exists(".gitml/sources/data/raw.json")
    project.gitml("add", "data/raw")


def test_two_at_once_of_different_paths_are_both_ignored(project: Project) -> None:
    for number in range(6):
        project.write(f"data/s{number}/f", str(number))
    calls = [project.start("add", f"data/s{number}") for number in range(6)]
    for call in calls:
        finish(call)
    status = project.repo.git("status", "--short", "-uall").splitlines()
    assert [line for line in status if "data/s" in line and ".gitml" not in line] == []
    assert sum(".gitml/sources/data/s" in line for line in status) == 6


def test_two_at_once_of_the_same_path_agree(project: Project) -> None:
    calls = [project.start("add", "data/raw") for _ in range(4)]
    states = sorted(finish(call).stdout.split()[2] for call in calls)
    assert set(states) <= {"added", "unchanged"} and "added" in states
    assert project.gitml("status", "--json").stdout.count('"clean"') == 1


def test_git_clean_leaves_the_store_and_a_clone_sees_the_pointers(project: Project, tmp_path: Path) -> None:
    (one,) = added(project, "data/raw")
    project.commit("record data")
    project.repo.git("clean", "-fdxq")
    assert not project.exists("data/raw")
    assert stored(project, one["digest"])
    project.repo.git("clone", "-q", ".", str(tmp_path / "clone"))
    done = subprocess.run(
        ["gitml", "status", "--json"], cwd=tmp_path / "clone", env=project.environ, capture_output=True, check=True
    )
    (source,) = json.loads(done.stdout)["sources"]
    assert (source["path"], source["state"]) == ("data/raw", "missing")


def test_quiet_prints_nothing(project: Project) -> None:
    called = project.gitml("add", "-q", "data/raw")
    assert called.stdout == called.stderr == ""


def test_a_conflicted_pointer_is_resolved_by_adding_the_path_again(project: Project) -> None:
    project.gitml("add", "data/raw")
    project.write("other", "1")
    good = project.read(".gitml/sources/data/raw.json")
    project.write(".gitml/sources/data/raw.json", good.replace('  "format"', '<<<<<<< HEAD\n=======\n  "format"'))
    for args in (("status",), ("repro",), ("add", "other"), ("mv", "data/raw", "data/new"), ("rm", "data/raw")):
        assert "conflict markers" in project.gitml(*args, code=2).stderr
    assert "/data/raw\n" in (project.path / ".git/info/exclude").read_text()
    project.gitml("add", "data/raw", "other")
    assert project.read(".gitml/sources/data/raw.json") == good


def hostile(project: Project, how: str) -> str:
    """Put something in the place of a pointer that must not be taken for one; gives a path that the error names."""
    folder = project.path / ".gitml/sources"
    outside = project.path.parent / "outside"
    outside.mkdir()
    if how == "link to a file":
        folder.mkdir(parents=True)
        (folder / "x.json").symlink_to("/etc/passwd")
    elif how == "link to a folder":
        (project.path / ".gitml").mkdir()
        folder.symlink_to(outside)
        return ".gitml/sources"
    elif how == "pipe":
        folder.mkdir(parents=True)
        os.mkfifo(folder / "x.json")
    else:
        folder.mkdir(parents=True)
        (folder / "x.json").write_bytes(b" " * (65 << 10))
    return ".gitml/sources/x.json"


@pytest.mark.parametrize("how", ["link to a file", "link to a folder", "pipe", "large"])
def test_what_stands_in_the_place_of_a_pointer_is_refused(how: str, project: Project) -> None:
    path = hostile(project, how)
    for args in (("status",), ("add", "data/raw"), ("repro",)):
        assert f"{path}: " in project.gitml(*args, code=2).stderr
    assert list((project.path.parent / "outside").iterdir()) == []


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultServer]:
    with FaultServer(tmp_path_factory.mktemp("faults")) as running:
        yield running


def copy_of(project: Project, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", str(project.path), str(target)], check=True)
    return target


def struck_at(changes: int, fault: str, *, offset: int = 0) -> range:
    """Choose the changes to strike: with GITML_FULL=1 all, else every few."""
    stride = 1 if os.environ.get("GITML_FULL") == "1" else {"kill": 2}.get(fault, 5)
    return range(1 + offset % stride, changes + 1, stride)


def untracked(project: Project, path: Path) -> list[str]:
    done = subprocess.run(
        ["git", "status", "--porcelain", "-uall"], cwd=path, env=project.environ, capture_output=True, check=True
    )
    return [line for line in os.fsdecode(done.stdout).splitlines() if ".gitml/" not in line]


@pytest.mark.parametrize("fault", ["kill", "EIO", "ENOSPC"])
@pytest.mark.parametrize("again", [False, True], ids=["first", "new version"])
def test_a_fault_at_any_change_leaves_the_old_pointer_or_the_new(
    again: bool, fault: str, project: Project, tmp_path: Path, server: FaultServer
) -> None:
    if again:
        project.gitml("add", "data/raw")
        project.write("data/raw/a.csv", "changed")
        project.write("data/raw/c.csv", "new")
    old = project.read(".gitml/sources/data/raw.json") if again else None
    data = listing(project.path / "data")
    calm = copy_of(project, tmp_path / "copy")
    first = server.run(calm, "add", "data/raw", environ=project.environ)
    assert first.code == 0 and first.changes > 5, first.shown
    new = (calm / ".gitml/sources/data/raw.json").read_text()
    for at in struck_at(first.changes, fault, offset=int(again)):
        path = copy_of(project, tmp_path / "copy")
        struck = server.run(path, "add", "data/raw", environ=project.environ, fault=fault, at=at)
        where = f"{fault} at change {at}: exit {struck.code}\n{struck.shown}"
        assert "Traceback" not in struck.shown, where
        assert listing(path / "data") == data, where
        file = path / ".gitml/sources/data/raw.json"
        found = file.read_text() if file.exists() else None
        assert found in (old, new), where
        if found is not None:
            assert untracked(project, path) == [], where
        after = server.run(path, "add", "data/raw", environ=project.environ)
        assert after.code == 0, where + after.shown
        assert file.read_text() == new, where
        assert untracked(project, path) == [], where
        check = server.run(path, "status", "--json", environ=project.environ)
        assert '"clean"' in check.shown, where + check.shown
