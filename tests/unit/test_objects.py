from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from gitml.hashing.file import NotRegularError, digest_bytes
from gitml.hashing.stream import LONG
from gitml.store.objects import CorruptObjectError, MissingObjectError, ObjectStore

SIZES = [0, 1, 128 << 10, (128 << 10) + 1, (9 << 20) + 3]


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(str(tmp_path / "cache"))


def content(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


@pytest.mark.parametrize("size", SIZES)
def test_a_file_comes_back_under_its_digest(size: int, store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(content(size))
    found = store.add_file(str(tmp_path / "f"))
    assert found.digest == digest_bytes(content(size))
    assert Path(store.path(found.digest)).read_bytes() == content(size)
    with (tmp_path / "back").open("wb") as target:
        store.copy_out(found.digest, target.fileno())
    assert (tmp_path / "back").read_bytes() == content(size)


@pytest.mark.parametrize("size", SIZES)
def test_objects_are_read_only_and_leave_no_temporary(size: int, store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(content(size))
    path = store.path(store.add_file(str(tmp_path / "f")).digest)
    assert os.stat(path).st_mode & 0o222 == 0
    assert os.listdir(tmp_path / "cache" / "tmp") == []


def test_adding_twice_writes_once(store: ObjectStore) -> None:
    digest = store.add_bytes(b"abc")
    before = os.stat(store.path(digest))
    assert store.add_bytes(b"abc") == digest
    assert os.stat(store.path(digest)).st_ino == before.st_ino


def test_an_object_that_was_cut_short_is_not_counted_on_and_repaired(store: ObjectStore) -> None:
    digest = store.add_bytes(b"abc")
    os.chmod(store.path(digest), 0o644)
    os.truncate(store.path(digest), 1)
    assert not store.has(digest, 3)
    store.add_bytes(b"abc")
    assert store.read(digest) == b"abc"


@pytest.mark.parametrize("edit", [b"longer than it was" * 10_000, b"", b"Z" * 200_000], ids=["longer", "empty", "same"])
def test_what_somebody_wrote_into_an_object_is_kept_when_it_is_stored_again(
    store: ObjectStore, tmp_path: Path, edit: bytes
) -> None:
    (tmp_path / "f").write_bytes(b"a" * 200_000)
    digest = store.add_file(str(tmp_path / "f")).digest
    os.chmod(store.path(digest), 0o644)
    Path(store.path(digest)).write_bytes(edit)
    store.add_file(str(tmp_path / "f"))
    store.verify(digest)
    assert (tmp_path / "cache" / "quarantine" / digest.hex).read_bytes() == edit
    assert os.listdir(os.path.join(store.root, "tmp")) == []


def test_a_whole_object_stays_when_it_is_stored_again(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"a" * 200_000)
    digest = store.add_file(str(tmp_path / "f")).digest
    before = os.stat(store.path(digest))
    store.add_file(str(tmp_path / "f"))
    assert os.stat(store.path(digest)) == before
    assert os.listdir(os.path.join(store.root, "tmp")) == []
    assert not (tmp_path / "cache" / "quarantine").exists()


def test_wrong_bytes_are_quarantined_and_never_handed_out(store: ObjectStore, tmp_path: Path) -> None:
    for take in (store.read, store.verify):
        digest = store.add_bytes(b"abc")
        os.chmod(store.path(digest), 0o644)
        Path(store.path(digest)).write_bytes(b"abX")
        with pytest.raises(CorruptObjectError):
            take(digest)
        assert not store.has(digest)
        assert (tmp_path / "cache" / "quarantine" / digest.hex).read_bytes() == b"abX"


def test_a_missing_object_is_named(store: ObjectStore, tmp_path: Path) -> None:
    digest = digest_bytes(b"nowhere")
    for take in (store.read, store.verify):
        with pytest.raises(MissingObjectError) as caught:
            take(digest)
        assert caught.value.digest == digest


def test_a_pipe_is_no_file(store: ObjectStore, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotRegularError):
        store.add_file(str(tmp_path / "pipe"))


def test_a_link_is_not_followed(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    (tmp_path / "link").symlink_to("f")
    with pytest.raises(OSError):
        store.add_file(str(tmp_path / "link"))


def test_many_threads_may_add_the_same(store: ObjectStore) -> None:
    threads = [
        threading.Thread(target=lambda: [store.add_bytes(b"%d" % (n % 7)) for n in range(200)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(store.read(digest_bytes(b"%d" % n)) == b"%d" % n for n in range(7))
    assert os.listdir(os.path.join(store.root, "tmp")) == []


def test_a_file_system_that_copies_nothing_and_does_not_say_so(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(LONG + 5)
    (tmp_path / "f").write_bytes(data)
    monkeypatch.setattr(os, "copy_file_range", lambda *arguments: 0, raising=False)
    assert store.add_file(str(tmp_path / "f")).digest == digest_bytes(data)
