from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitml.store.beneath import SymlinkOnTheWayError, parent_of, remove_path


def test_the_parent_of_a_path(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    with parent_of(str(tmp_path), "a/b/c") as (parent, name):
        assert name == "c"
        assert os.fstat(parent).st_ino == os.stat(tmp_path / "a" / "b").st_ino


def test_parents_are_made_only_when_asked(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), parent_of(str(tmp_path), "a/b/c"):
        pass
    with parent_of(str(tmp_path), "a/b/c", create=True):
        assert os.listdir(tmp_path / "a") == ["b"]


@pytest.mark.parametrize("create", [False, True])
def test_links_and_files_on_the_way_are_refused(tmp_path: Path, create: bool) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "file").write_text("")
    for path in ("link/x", "file/x"):
        with pytest.raises(SymlinkOnTheWayError), parent_of(str(tmp_path), path, create=create):
            pass
    assert os.listdir(tmp_path / "real") == []


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    before = len(os.listdir("/dev/fd"))
    for path in ("a/b/c", "a/b/d"):
        with parent_of(str(tmp_path), path, create=True):
            pass
    (tmp_path / "a" / "l").symlink_to("b")
    for _ in range(3):
        with pytest.raises(SymlinkOnTheWayError), parent_of(str(tmp_path), "a/l/x"):
            pass
    assert len(os.listdir("/dev/fd")) == before


def test_removing_a_folder_does_not_follow_links(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "f").write_text("x")
    (tmp_path / "gone" / "deep").mkdir(parents=True)
    (tmp_path / "gone" / "link").symlink_to("../kept")
    (tmp_path / "gone" / "deep" / "f").write_text("x")
    os.chmod(tmp_path / "gone" / "deep", 0o500)
    remove_path(str(tmp_path / "gone"))
    assert os.listdir(tmp_path) == ["kept"]
    assert os.listdir(tmp_path / "kept") == ["f"]


def test_removing_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    remove_path(str(tmp_path / "nowhere"))
    remove_path(str(tmp_path / "nowhere" / "deeper"))
    assert os.listdir(tmp_path) == []
