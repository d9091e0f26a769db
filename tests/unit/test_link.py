"""Adopting files into the store: what is linked, what races with a writer end in, and which links stand for objects."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from gitml.hashing.file import ChangedWhileReadError, NotRegularError, digest_bytes
from gitml.store.link import LINK_TYPES, SHARED_FROM, adopt, linked_object
from gitml.store.objects import CorruptObjectError, ObjectStore

BIG = b"x" * SHARED_FROM
SHARING = ("hardlink", "symlink")


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return ObjectStore(str(tmp_path / "cache"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "work" / "file"
    path.parent.mkdir()
    path.write_bytes(BIG)
    return path


@pytest.mark.parametrize("kind", LINK_TYPES)
def test_the_stat_is_that_of_what_stands_there(kind: str, objects: ObjectStore, file: Path) -> None:
    before = file.stat()
    found, stands = adopt(objects, str(file), [kind])
    after = file.lstat()
    assert found.digest == digest_bytes(BIG)
    assert (found.signature.size, stat.S_ISREG(found.signature.mode)) == (len(BIG), True)
    assert (stands.size, stands.ctime_ns, stands.inode) == (after.st_size, after.st_ctime_ns, after.st_ino)
    assert (after.st_ino == before.st_ino) == (kind != "symlink")
    assert file.read_bytes() == BIG and objects.has(found.digest, len(BIG))
    assert os.listdir(file.parent) == ["file"] and os.listdir(Path(objects.root) / "tmp") == []


def test_the_first_kind_that_works_is_taken(objects: ObjectStore, file: Path) -> None:
    adopt(objects, str(file), ["reflink", "hardlink", "symlink"])
    assert file.stat().st_nlink == 2 or not file.is_symlink()


def test_nothing_after_copy_is_tried(objects: ObjectStore, file: Path) -> None:
    adopt(objects, str(file), ["copy", "symlink"])
    assert not file.is_symlink()


@pytest.mark.parametrize("kind", LINK_TYPES)
def test_what_is_no_file_is_refused(kind: str, objects: ObjectStore, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link", "."):
        with pytest.raises(NotRegularError):
            adopt(objects, str(tmp_path / name), [kind])


def between(monkeypatch: pytest.MonkeyPatch, name: str, act: Callable[[], object], *, nth: int = 1) -> None:
    """Let somebody act before the n-th call of a function of `os`."""
    real, calls = getattr(os, name), iter(range(1, 1000))

    def called(*args: object, **named: object) -> object:
        if next(calls) == nth:
            act()
        return real(*args, **named)

    monkeypatch.setattr(os, name, called)


@pytest.mark.parametrize("how", ["writes in place", "puts another in its place"])
@pytest.mark.parametrize("moment", ["link", "symlink"])
def test_a_writer_before_a_symlink_keeps_what_was_written(
    how: str, moment: str, objects: ObjectStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write() -> None:
        if how == "writes in place":
            with file.open("ab") as open_file:
                open_file.write(b"more")
        else:
            (file.parent / "new").write_bytes(BIG + b"more")
            (file.parent / "new").replace(file)

    between(monkeypatch, moment, write)
    with pytest.raises(ChangedWhileReadError):
        adopt(objects, str(file), ["symlink"])
    assert not file.is_symlink()
    assert file.read_bytes() == BIG + b"more"
    assert os.listdir(file.parent) == ["file"]


def test_a_writer_in_the_last_moment_gets_the_file_back(
    objects: ObjectStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptor = os.open(file, os.O_WRONLY)
    real = os.rename

    def renamed(source: str, target: str) -> None:
        if target == str(file):
            os.pwrite(descriptor, b"y", 0)
        real(source, target)

    monkeypatch.setattr(os, "rename", renamed)
    try:
        with pytest.raises(ChangedWhileReadError):
            adopt(objects, str(file), ["symlink"])
    finally:
        os.close(descriptor)
    assert not file.is_symlink() and file.read_bytes() == b"y" + BIG[1:]
    assert os.listdir(file.parent) == ["file"]


def test_a_writer_before_a_hard_link_keeps_what_was_written(
    objects: ObjectStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    between(monkeypatch, "link", lambda: file.write_bytes(b"y" * SHARED_FROM))
    with pytest.raises(ChangedWhileReadError):
        adopt(objects, str(file), ["hardlink"])
    assert file.read_bytes() == b"y" * SHARED_FROM
    assert file.stat().st_nlink == 1 and file.stat().st_mode & stat.S_IWUSR
    assert list(objects.loose()) == []


def test_a_writer_after_a_hard_link_leaves_no_damaged_object(
    objects: ObjectStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptor = os.open(file, os.O_WRONLY)
    between(monkeypatch, "chmod", lambda: os.pwrite(descriptor, b"y", 0))
    try:
        with pytest.raises(CorruptObjectError):
            adopt(objects, str(file), ["hardlink"])
    finally:
        os.close(descriptor)
    assert file.read_bytes() == b"y" + BIG[1:]
    assert not objects.has(digest_bytes(BIG))


@pytest.mark.parametrize("kind", SHARING)
def test_a_file_system_that_refuses_a_link_gets_a_copy(
    kind: str, objects: ObjectStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **named: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    adopt(objects, str(file), [kind])
    assert not file.is_symlink() and file.stat().st_nlink == 1
    assert objects.has(digest_bytes(BIG), len(BIG))


def test_only_the_absolute_path_of_an_object_stands_for_it(objects: ObjectStore, file: Path, tmp_path: Path) -> None:
    adopt(objects, str(file), ["copy"])
    digest = digest_bytes(BIG)
    right = os.fsencode(objects.path(digest))
    assert linked_object(objects.root, right) == digest
    shard, name = right[:-65], right[-65:]
    wrong = [
        b"",
        name,
        right + b"/",
        right + b"\n",
        right[:-1],
        right + b"a",
        right.upper(),
        shard[:-2] + b"../objects/" + shard[-2:] + name,
        shard + b"/" + name,
        os.path.relpath(right, os.fsencode(file.parent)),
        b"/elsewhere" + right,
    ]
    assert [text for text in wrong if linked_object(objects.root, text) is not None] == []
    assert linked_object(str(tmp_path / "other"), right) is None


def test_a_link_to_an_object_that_is_not_there_is_a_link(objects: ObjectStore, tmp_path: Path) -> None:
    digest = digest_bytes(BIG)
    path = Path(objects.path(digest))
    assert linked_object(objects.root, os.fsencode(path)) is None
    path.mkdir(parents=True)
    assert linked_object(objects.root, os.fsencode(path)) is None
    path.rmdir()
    path.symlink_to("/etc/passwd")
    assert linked_object(objects.root, os.fsencode(path)) is None
