"""`gitml checkout`: the worktree as locks and pointers say, only what differs touched, no byte lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.command import Called, Project, finish, listing, new_project
from tests.functional.killing import FaultServer

MANIFEST = """
[step.make]
run = "mkdir -p out/sub && printf one > out/a && printf two > out/sub/b && printf m > model.bin"
outputs = ["out", "model.bin"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with outputs (`out`, `model.bin`) and sources (`data`, `raw.csv`), all recorded and committed."""
    made = new_project(tmp_path, MANIFEST)
    for number in range(6):
        made.write(f"data/{number % 2}/{number}.txt", f"{number}\n")
    made.write("data/run.sh", "#!/bin/sh\n", executable=True)
    (made.path / "data/link").symlink_to("0/0.txt")
    (made.path / "data/empty").mkdir()
    made.write("raw.csv", "x,y\n")
    made.repro()
    made.gitml("add", "data", "raw.csv")
    made.commit("data")
    return made


def documents(called: Called) -> dict[str, dict[str, object]]:
    return {target["path"]: target for target in json.loads(called.stdout)["targets"]}


def everything(project: Project) -> dict[str, tuple[int, bytes]]:
    return listing(project.path, without=(".git",))


def test_what_was_deleted_comes_back_as_it_was(project: Project) -> None:
    before = everything(project)
    shutil.rmtree(project.path / "data")
    shutil.rmtree(project.path / "out")
    (project.path / "raw.csv").unlink()
    project.gitml("checkout")
    assert everything(project) == before
    assert project.gitml("status", "--check").code == 0


def test_nothing_is_touched_where_nothing_differs(project: Project) -> None:
    before = {path: os.lstat(project.path / path) for path in everything(project)}
    called = documents(project.gitml("checkout", "--json"))
    assert {path: target["written"] for path, target in called.items()} == dict.fromkeys(called, 0)
    for path, status in before.items():
        now = os.lstat(project.path / path)
        assert (now.st_ino, now.st_mtime_ns) == (status.st_ino, status.st_mtime_ns), path


def test_only_what_differs_is_touched(project: Project) -> None:
    kept = os.lstat(project.path / "data/0/0.txt")
    (project.path / "data/1/1.txt").unlink()
    shutil.rmtree(project.path / "out/sub")
    called = documents(project.gitml("checkout", "--json"))
    assert called["data"]["written"] == 1 and called["out"]["written"] == 1
    assert project.read("data/1/1.txt") == "1\n" and project.read("out/sub/b") == "two"
    assert os.lstat(project.path / "data/0/0.txt").st_ino == kept.st_ino


def test_the_commit_that_is_checked_out_says_what_it_is(project: Project) -> None:
    first = everything(project)
    project.write("data/1/1.txt", "changed\n")
    project.write("data/new.txt", "new\n")
    (project.path / "data/0/2.txt").unlink()
    project.gitml("add", "data")
    project.commit("second")
    second = everything(project)
    project.repo.git("checkout", "-q", "HEAD~")
    called = documents(project.gitml("checkout", "--json"))
    assert everything(project) == first
    assert (called["data"]["written"], called["data"]["removed"]) == (2, 1)
    project.repo.git("checkout", "-q", "-")
    project.gitml("checkout")
    assert everything(project) == second


def test_unsaved_changes_are_refused_and_named_and_the_rest_is_done(project: Project) -> None:
    project.write("data/1/1.txt", "mine\n")
    project.write("data/extra.txt", "also mine\n")
    (project.path / "data/0/0.txt").unlink()
    (project.path / "raw.csv").unlink()
    called = project.gitml("checkout", code=1)
    assert "data/1/1.txt" in called.stderr and "data/extra.txt" in called.stderr and "--force" in called.stderr
    assert project.read("data/1/1.txt") == "mine\n"
    assert not project.exists("data/0/0.txt")
    assert project.read("raw.csv") == "x,y\n"


def test_force_puts_unsaved_changes_aside_and_says_where(project: Project) -> None:
    before = everything(project)
    project.write("data/1/1.txt", "mine\n")
    project.write("data/extra.txt", "also mine\n")
    project.write("model.bin", "my model")
    called = project.gitml("checkout", "--force", "--json")
    assert everything(project) == before
    kept = {one["path"]: Path(one["kept"]) for target in documents(called).values() for one in target["kept"]}
    assert {path: place.read_text() for path, place in kept.items()} == {
        "data/1/1.txt": "mine\n",
        "data/extra.txt": "also mine\n",
        "model.bin": "my model",
    }


def test_what_the_cache_has_may_be_replaced(project: Project) -> None:
    project.write("data/1/1.txt", "0\n")  # the bytes of another file
    project.write("raw.csv", "0\n")
    project.gitml("checkout")
    assert project.read("data/1/1.txt") == "1\n" and project.read("raw.csv") == "x,y\n"


def test_a_path_inside_brings_only_that(project: Project) -> None:
    shutil.rmtree(project.path / "data")
    project.gitml("checkout", "data/1")
    assert sorted(os.listdir(project.path / "data")) == ["1"]
    project.gitml("checkout", "data/0/0.txt")
    assert sorted(os.listdir(project.path / "data/0")) == ["0.txt"]
    called = project.gitml("checkout", "data/no", code=2)
    assert "data/no" in called.stderr


def test_a_path_inside_reads_only_its_branch(project: Project) -> None:
    """The trees and files of other branches may be missing."""
    shutil.rmtree(project.path / "data")
    pointer = json.loads(project.read(".gitml/sources/data.json"))
    root = pointer["entry"]["digest"].removeprefix("blake3:")
    objects = project.cache / "objects"
    assert (objects / root[:2] / root[2:]).exists()
    branch = {name: (objects / name[:2] / name[2:]) for name in members_of(objects, root)}
    for path in branch.values():
        path.rename(path.with_name("gone"))
    one = members_of(objects, root)[1]
    branch[one].with_name("gone").rename(branch[one])
    project.gitml("checkout", "data/1")
    assert sorted(os.listdir(project.path / "data/1")) == ["1.txt", "3.txt", "5.txt"]


def members_of(objects: Path, root: str) -> list[str]:
    """The digests of the folders `0` and `1` of `data`."""
    from gitml.model.tree import decode_tree

    found = {e.name: e.digest.hex for e in decode_tree((objects / root[:2] / root[2:]).read_bytes())}
    return [found["0"], found["1"]]


def test_words_are_steps_folders_and_relative_paths(project: Project) -> None:
    shutil.rmtree(project.path / "out")
    (project.path / "model.bin").unlink()
    project.gitml("checkout", "make")
    assert project.exists("out/a") and project.exists("model.bin")
    shutil.rmtree(project.path / "data/1")
    project.gitml("checkout", "1", cwd="data")
    assert project.exists("data/1/1.txt")
    called = project.gitml("checkout", "nothing", code=2)
    assert "nothing" in called.stderr and "hint" in called.stderr


def test_missing_objects_are_all_listed_with_the_command_that_gets_them(project: Project) -> None:
    shutil.rmtree(project.path / "data")
    shutil.rmtree(project.path / "out")
    for text in ("1\n", "3\n", "two"):
        path = object_of(project, text.encode())
        path.unlink()
    called = project.gitml("checkout", code=1)
    assert "data/1/1.txt" in called.stderr and "data/1/3.txt" in called.stderr and "gitml add data" in called.stderr
    assert "out/sub/b" in called.stderr and "gitml repro make" in called.stderr
    assert not project.exists("data") and not project.exists("out")
    assert len(json.loads(project.gitml("checkout", "--json", "data", code=1).stdout)["targets"][0]["lacking"]) == 2


def object_of(project: Project, data: bytes) -> Path:
    from gitml.hashing.file import digest_bytes

    name = digest_bytes(data).hex
    return project.cache / "objects" / name[:2] / name[2:]


def test_a_damaged_object_is_never_handed_out(project: Project) -> None:
    path = object_of(project, b"1\n")
    path.chmod(0o644)
    path.write_bytes(b"7\n")
    (project.path / "data/1/1.txt").unlink()
    called = project.gitml("checkout", code=5)
    assert "damaged" in called.stderr
    assert not project.exists("data/1/1.txt")
    assert os.listdir(project.cache / "quarantine")
    assert [name for name in everything(project) if ".gitml-" in name] == []


def test_folders_and_files_take_each_others_places(project: Project) -> None:
    before = everything(project)
    shutil.rmtree(project.path / "data/1")
    project.write("data/1", "0\n")
    (project.path / "data/0/0.txt").unlink()
    project.write("data/0/0.txt/inside", "2\n")
    (project.path / "raw.csv").unlink()
    project.write("raw.csv/folder", "0\n")
    shutil.rmtree(project.path / "out")
    project.write("out", "0\n")
    project.gitml("checkout")
    assert everything(project) == before


def test_droppings_in_a_source_are_left_alone(project: Project) -> None:
    project.write("data/1/.DS_Store", "junk")
    (project.path / "data/1/1.txt").unlink()
    project.gitml("checkout")
    assert project.read("data/1/.DS_Store") == "junk" and project.read("data/1/1.txt") == "1\n"


def test_a_mode_that_changed_is_put_right(project: Project) -> None:
    os.chmod(project.path / "data/run.sh", 0o644)
    project.gitml("checkout")
    assert os.access(project.path / "data/run.sh", os.X_OK)


def test_a_folder_that_became_a_link_is_not_followed(project: Project, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    shutil.rmtree(project.path / "data")
    (project.path / "data").symlink_to(outside)
    project.gitml("checkout", "--force", code=None)
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"precious": "precious"}
    shutil.rmtree(project.path / "out")
    (project.path / "out").mkdir()
    (project.path / "out/sub").symlink_to(outside)
    project.gitml("checkout", "--force", code=None)
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"precious": "precious"}


def test_two_at_once_leave_what_one_leaves(project: Project) -> None:
    before = everything(project)
    for _ in range(3):
        shutil.rmtree(project.path / "data")
        shutil.rmtree(project.path / "out")
        both = [project.start("checkout") for _ in range(2)]
        ends = [finish(one, code=None) for one in both]
        assert min(end.code for end in ends) == 0
        assert all("being worked on" in end.stderr for end in ends if end.code)
        project.gitml("checkout")
        assert everything(project) == before


def test_names_of_all_kinds(tmp_path: Path) -> None:
    project = new_project(tmp_path, "")
    for name in (b"new\nline", b"\xff\xfe", b"n" * 255, b" ", b"-", "é".encode(), "e\u0301".encode(), b"A", b"a"):
        project.path.joinpath("data").mkdir(exist_ok=True)
        (Path(os.fsdecode(os.path.join(os.fsencode(project.path), b"data", name)))).write_bytes(name)
    project.gitml("add", "data")
    before = everything(project)
    shutil.rmtree(project.path / "data")
    project.gitml("checkout")
    assert everything(project) == before


def test_many_files_come_back_from_packs_and_are_known(tmp_path: Path) -> None:
    project = new_project(tmp_path, "")
    for number in range(3000):
        project.write(f"data/{number % 5}/{number}", f"{number}")
    project.write("data/long", os.urandom(300_000))
    project.gitml("add", "data")
    assert list((project.cache / "packs").glob("*.pack"))
    before = everything(project)
    shutil.rmtree(project.path / "data")
    project.gitml("checkout")
    assert everything(project) == before
    (project.cache / "packs").rename(project.cache / "hidden")  # nothing needs to be read to know that it is clean
    assert project.gitml("status", "--check").code == 0


def test_relink_of_a_hard_link_leaves_no_other_name(project: Project) -> None:
    project.gitml("config", "cache.link", "hardlink,copy")
    project.write("long.bin", os.urandom(2 << 20))
    project.gitml("add", "long.bin")
    assert os.stat(project.path / "long.bin").st_nlink == 2
    project.gitml("checkout", "--relink")
    assert os.stat(project.path / "long.bin").st_nlink == 2
    assert [name for name in os.listdir(project.path) if name.startswith(".gitml-")] == []


def test_relink_without_another_kind_changes_no_content(project: Project) -> None:
    project.write("long.bin", os.urandom(2 << 20))
    project.gitml("add", "long.bin")
    before = everything(project)
    called = documents(project.gitml("checkout", "--relink", "--json"))
    assert called["long.bin"]["relinked"] == 1
    assert everything(project) == before
    assert project.gitml("status", "--check").code == 0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultServer]:
    with FaultServer(tmp_path_factory.mktemp("faults")) as running:
        yield running


def disturb(project: Project) -> None:
    """Delete, edit, add, and let files and folders take each other's places."""
    project.write("data/1/1.txt", "mine 1\n")
    project.write("data/extra/deep.txt", "mine 2\n")
    (project.path / "data/0/0.txt").unlink()
    project.write("data/0/0.txt/inside", "mine 3\n")
    (project.path / "data/1/3.txt").unlink()
    (project.path / "data/1/5.txt").write_text("0\n")
    shutil.rmtree(project.path / "out/sub")
    project.write("out/sub", "mine 4\n")
    project.write("raw.csv", "mine 5\n")
    (project.path / "model.bin").unlink()


def contents(folder: Path) -> set[bytes]:
    return {data for mode, data in listing(folder).values() if mode & 0o170000 == 0o100000}


@pytest.mark.parametrize("fault", ["kill", "EIO", "ENOSPC"])
def test_a_fault_at_any_change_loses_nothing_and_the_next_call_works(
    fault: str, project: Project, tmp_path: Path, server: FaultServer
) -> None:
    wanted = everything(project)
    disturb(project)
    old = listing(project.path, without=(".git",))
    mine = {f"mine {number}\n".encode() for number in range(1, 6)}
    copy = tmp_path / "copy"
    calm = server.run(copied(project, copy), "checkout", "--force", environ=project.environ)
    assert calm.code == 0 and calm.changes > 30, calm.shown
    assert listing(copy, without=(".git",)) == wanted
    stride = 1 if os.environ.get("GITML_FULL") == "1" else {"kill": 3}.get(fault, 7)
    for at in range(1, calm.changes + 1, stride):
        struck = server.run(copied(project, copy), "checkout", "--force", environ=project.environ, fault=fault, at=at)
        assert "Traceback" not in struck.shown, struck.shown
        rescued = copy / ".git/gitml/rescued"
        assert mine <= contents(copy) | (contents(rescued) if rescued.exists() else set()), at
        for path, found in listing(copy, without=(".git",)).items():
            if ".gitml-" not in path:
                assert found in (old.get(path), wanted.get(path)), (at, path)
        after = server.run(copy, "checkout", "--force", environ=project.environ)
        assert after.code == 0, (at, struck.shown, after.shown)
        assert listing(copy, without=(".git",)) == wanted, at
        assert mine <= contents(rescued), at


def copied(project: Project, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", str(project.path), str(target)], check=True)
    return target
