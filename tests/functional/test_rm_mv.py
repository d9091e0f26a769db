"""`gitml rm` and `gitml mv`: pointers follow the data, nothing is overwritten, and nothing unsaved is deleted."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.command import Project, listing, new_project
from tests.functional.killing import FaultServer
from tests.functional.test_add import copy_of, struck_at, untracked

STEP = '[step.use]\nrun = "cat data/raw/* > out"\ninputs = ["data/raw"]\noutputs = ["out"]\n'


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = new_project(tmp_path, STEP)
    made.write("data/raw/a.csv", "1")
    made.write("data/raw/b.csv", "2")
    made.gitml("add", "data/raw")
    return made


def sources(project: Project) -> dict[str, str]:
    found = json.loads(project.gitml("status", "--json").stdout)["sources"]
    return {one["path"]: one["state"] for one in found}


def test_rm_leaves_the_data_and_lets_git_see_it(project: Project) -> None:
    called = project.gitml("rm", "data/raw")
    assert "the data is where it was" in called.stdout
    assert "step use still read it" in called.stdout
    assert sources(project) == {}
    assert not project.exists(".gitml/sources/data")
    assert "?? data/raw/a.csv" in project.repo.git("status", "--short", "-uall")


def test_rm_leaves_data_that_needs_no_cache(project: Project) -> None:
    project.gitml("config", "cache.link", "symlink")
    big = os.urandom(2 << 20)
    project.write("data/raw/sub/big", big)
    project.write("big", big)
    project.gitml("add", "data/raw", "big")
    assert (project.path / "big").is_symlink() and (project.path / "data/raw/sub/big").is_symlink()
    before = listing(project.path / "data").keys()
    project.gitml("rm", "data/raw", "big")
    project.gitml("gc", "--grace", "0")
    assert (project.path / "big").read_bytes() == (project.path / "data/raw/sub/big").read_bytes() == big
    assert listing(project.path / "data").keys() == before


def test_rm_delete_takes_the_data_too_junk_included(project: Project) -> None:
    project.write("data/raw/.DS_Store", "junk")
    called = project.gitml("rm", "--delete", "--json", "data/raw")
    (one,) = json.loads(called.stdout)["sources"]
    assert (one["deleted"], one["rescued"], one["readers"]) == (True, [], ["use"])
    assert not project.exists("data/raw")
    assert list(project.machine.glob("aside/*")) == list(project.machine.glob("inflight/*")) == []


def test_rm_delete_refuses_unsaved_changes_and_force_rescues_them(project: Project) -> None:
    project.write("data/raw/a.csv", "precious")
    project.write("other", "1")
    project.gitml("add", "other")
    called = project.gitml("rm", "--delete", "other", "data/raw", code=2)
    assert "data/raw has changes that the cache does not hold" in called.stderr
    assert sources(project) == {"data/raw": "changed", "other": "clean"}
    shown = project.gitml("rm", "--delete", "--force", "data/raw").stdout
    (kept,) = project.machine.glob("rescued/*/data/raw/a.csv")
    assert kept.read_text() == "precious"
    assert f"cp -r {kept.parent} data/raw" in shown


def test_rm_delete_does_not_miss_what_was_deleted_already(project: Project) -> None:
    (project.path / "data/raw/a.csv").unlink()
    project.gitml("rm", "--delete", "data/raw")
    assert not project.exists("data/raw")


def test_rm_delete_keeps_data_that_the_cache_lost(project: Project) -> None:
    shutil.rmtree(project.cache / "objects")
    shutil.rmtree(project.cache / "packs", ignore_errors=True)
    assert "cache does not hold" in project.gitml("rm", "--delete", "data/raw", code=2).stderr
    assert project.read("data/raw/a.csv") == "1"


def test_rm_of_a_missing_source_removes_its_pointer(project: Project) -> None:
    shutil.rmtree(project.path / "data/raw")
    project.gitml("rm", "data/raw")
    assert sources(project) == {}


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("rm", "data/raw/a.csv"), "lies inside data/raw"),
        (("rm", "data"), "data is not a source"),
        (("rm", "data/raw", "nothing"), "nothing is not a source"),
        (("rm", "--force", "data/raw"), "--force goes with --delete"),
        (("mv", "data/raw/a.csv", "x"), "lies inside data/raw"),
        (("mv", "nothing", "x"), "nothing is not a source"),
        (("mv", "data/raw", "gitml.toml"), "nothing is overwritten"),
        (("mv", "data/raw", "data/raw"), "data/raw cannot be moved into itself"),
        (("mv", "data/raw", "data"), "is there already"),
        (("mv", "data/raw", "data/raw/deeper"), "cannot be moved into itself"),
        (("mv", "data/raw", "out"), "an output of step use"),
        (("mv", "data/raw", "../x"), "outside the project"),
        (("mv", "data/raw", ".git/x"), "may not enter .git"),
        (("mv", "data/raw", "link/x"), "leads through link"),
        (("mv", "data/raw", "gitml.toml/x"), "gitml.toml"),
        (("mv", "data/raw", "other/x"), "lies inside source other"),
        (("mv", "data/raw", "gone"), "gone"),
    ],
)
def test_what_cannot_be_done_changes_nothing(args: tuple[str, ...], told: str, project: Project) -> None:
    (project.path / "link").symlink_to("data")
    project.write("other", "1")
    project.write("gone", "1")
    project.gitml("add", "other", "gone")
    (project.path / "gone").unlink()
    (project.path / "other").unlink()
    before = listing(project.path, without=(".git/",))
    called = project.gitml(*args, code=2)
    assert told in called.stderr
    assert listing(project.path, without=(".git/",)) == before


def test_mv_renames_data_and_pointer(project: Project) -> None:
    entry = json.loads(project.read(".gitml/sources/data/raw.json"))["entry"]
    called = project.gitml("mv", "data/raw", "new/deep/er")
    assert "step use read the old path" in called.stdout
    moved = json.loads(project.read(".gitml/sources/new/deep/er.json"))
    assert (moved["path"], moved["entry"]) == ("new/deep/er", entry)
    assert not project.exists("data/raw") and project.read("new/deep/er/a.csv") == "1"
    assert not project.exists(".gitml/sources/data")
    assert untracked(project, project.path) == []
    assert sources(project) == {"new/deep/er": "clean"}


def test_mv_goes_into_a_folder_that_is_there(project: Project) -> None:
    (project.path / "kept").mkdir()
    data = json.loads(project.gitml("mv", "--json", "data/raw", "kept").stdout)
    assert (data["old"], data["new"]) == ("data/raw", "kept/raw")
    project.gitml("mv", "../kept/raw", ".", cwd="data")
    assert sources(project) == {"data/raw": "clean"}


def test_mv_keeps_unsaved_changes(project: Project) -> None:
    project.write("data/raw/a.csv", "changed")
    project.gitml("mv", "data/raw", "data/x")
    assert project.read("data/x/a.csv") == "changed"
    assert sources(project) == {"data/x": "changed"}


def test_mv_may_change_the_case_of_a_name(project: Project) -> None:
    project.gitml("mv", "data/raw", "data/RAW")
    assert sources(project) == {"data/RAW": "clean"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultServer]:
    with FaultServer(tmp_path_factory.mktemp("faults")) as running:
        yield running


def pointed(path: Path) -> set[str]:
    folder = path / ".gitml/sources"
    return {json.loads(file.read_text())["path"] for file in folder.rglob("*.json")}


@pytest.mark.parametrize("fault", ["kill", "EIO", "ENOSPC"])
def test_a_fault_during_mv_leaves_it_done_or_undone(
    fault: str, project: Project, tmp_path: Path, server: FaultServer
) -> None:
    data = listing(project.path / "data/raw")
    args = ("mv", "data/raw", "new/place")
    calm = copy_of(project, tmp_path / "copy")
    changes = server.run(calm, *args, environ=project.environ).changes
    assert changes > 8
    for at in struck_at(changes, fault):
        path = copy_of(project, tmp_path / "copy")
        struck = server.run(path, *args, environ=project.environ, fault=fault, at=at)
        where = f"{fault} at change {at} of {changes}: exit {struck.code}\n{struck.shown}"
        assert "Traceback" not in struck.shown, where
        (stands,) = (p for p in ("data/raw", "new/place") if os.path.lexists(path / p))
        assert listing(path / stands) == data, where
        assert stands in pointed(path), where
        assert untracked(project, path) == [], where
        if fault != "kill" and struck.code != 0 and stands == "data/raw":
            assert not (path / "new").exists(), where
        after = server.run(path, "rm", stands, environ=project.environ)
        assert after.code == 0, where + after.shown
        assert pointed(path) == set(), where
        assert not (path / ".git/gitml/moving.json").exists(), where
        assert listing(path / stands) == data, where


@pytest.mark.parametrize("fault", ["kill", "EIO"])
def test_a_fault_during_rm_delete_loses_nothing(
    fault: str, project: Project, tmp_path: Path, server: FaultServer
) -> None:
    project.write("data/raw/b.csv", "precious")
    args = ("rm", "--delete", "--force", "data/raw")
    changes = server.run(copy_of(project, tmp_path / "copy"), *args, environ=project.environ).changes
    for at in struck_at(changes, fault):
        path = copy_of(project, tmp_path / "copy")
        struck = server.run(path, *args, environ=project.environ, fault=fault, at=at)
        where = f"{fault} at change {at} of {changes}: exit {struck.code}\n{struck.shown}"
        assert "Traceback" not in struck.shown, where
        if struck.code != 0:
            after = server.run(path, *args, environ=project.environ)
            where += after.shown
            assert after.code == 0 or "is not a source" in after.shown, where
        kept = [*path.glob(".git/gitml/rescued/*/data/raw/b.csv"), *path.glob("data/raw/b.csv")]
        assert [file.read_text() for file in kept] == ["precious"], where
        assert pointed(path) == set(), where
