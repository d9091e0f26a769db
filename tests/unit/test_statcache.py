from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gitml.errors import GitmlError
from gitml.hashing import statcache
from gitml.hashing.clock import FileClock
from gitml.hashing.file import digest_bytes
from gitml.hashing.statcache import StatCache
from gitml.hashing.state import StateDatabase

Open = Callable[[], StatCache]


@pytest.fixture
def reopened(tmp_path: Path) -> Open:
    (tmp_path / "root").mkdir()

    def make() -> StatCache:
        database = StateDatabase(str(tmp_path / "machine" / "state.db"))
        return StatCache(str(tmp_path / "root"), database, FileClock(str(tmp_path / "machine" / "tmp")))

    return make


def flushed(cache: StatCache) -> None:
    cache.flush()
    cache._database.close()
    cache._clock.close()


def forbid_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: str) -> object:
        raise AssertionError(f"{path} is read")

    monkeypatch.setattr(statcache, "digest_file", fail)
    monkeypatch.setattr(statcache, "fast_digest_file", fail)


def test_an_untouched_file_is_not_read_again(reopened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "root" / "f").write_text("abc")
    cache = reopened()
    assert cache.digest("f")[1] == digest_bytes(b"abc")
    flushed(cache)
    forbid_reading(monkeypatch)
    again = reopened()
    assert again.digest("f")[1] == digest_bytes(b"abc")
    flushed(again)


def test_a_file_written_again_within_the_same_tick_is_seen(reopened: Open, tmp_path: Path) -> None:
    path = tmp_path / "root" / "f"
    for number in range(200):
        path.write_text(f"{number:04}")
        cache = reopened()
        assert cache.digest("f")[1] == digest_bytes(f"{number:04}".encode())
        path.write_text(f"{number + 5000:04}")
        assert cache.digest("f")[1] == digest_bytes(f"{number + 5000:04}".encode())
        flushed(cache)


def test_a_write_between_hashing_and_flush_is_seen(reopened: Open, tmp_path: Path) -> None:
    path = tmp_path / "root" / "f"
    path.write_text("one")
    cache = reopened()
    cache.digest("f")
    path.write_text("two")
    flushed(cache)
    again = reopened()
    assert again.digest("f")[1] == digest_bytes(b"two")
    flushed(again)


def test_a_touched_file_is_confirmed_by_the_fast_hash(
    reopened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "root" / "f"
    path.write_text("abc")
    time.sleep(0.03)
    cache = reopened()
    cache.digest("f")
    flushed(cache)
    os.utime(path, ns=(0, 0))
    monkeypatch.setattr(statcache, "digest_file", lambda path: pytest.fail("BLAKE3 was taken"))
    again = reopened()
    assert again.digest("f")[1] == digest_bytes(b"abc")
    again._database.close()
    again._clock.close()


def test_a_touched_file_that_git_holds_is_not(reopened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "root" / "f"
    path.write_text("abc")
    time.sleep(0.03)
    cache = reopened()
    cache.digest("f", held=True)
    flushed(cache)
    os.utime(path, ns=(0, 0))
    monkeypatch.setattr(statcache, "fast_digest_file", lambda path: pytest.fail("xxh3 was trusted"))
    again = reopened()
    assert again.digest("f", held=True)[1] == digest_bytes(b"abc")
    flushed(again)


@pytest.mark.parametrize("change", ["chmod", "replace", "same size and mtime"])
def test_every_part_of_the_stat_counts(reopened: Open, tmp_path: Path, change: str) -> None:
    path = tmp_path / "root" / "f"
    path.write_text("abc")
    time.sleep(0.03)
    cache = reopened()
    signature = cache.digest("f")[0]
    flushed(cache)
    if change == "chmod":
        path.chmod(0o755)
    elif change == "replace":
        (tmp_path / "root" / "g").write_text("xyz")
        os.replace(tmp_path / "root" / "g", path)
    else:
        path.write_text("xyz")
        os.utime(path, ns=(signature.mtime_ns, signature.mtime_ns))
    again = reopened()
    now, digest = again.digest("f")
    assert now != signature
    assert digest == digest_bytes(path.read_bytes())
    flushed(again)


def test_what_is_no_file_is_refused(reopened: Open, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "root" / "pipe")
    cache = reopened()
    with pytest.raises(GitmlError):
        cache.digest("pipe")
    with pytest.raises(FileNotFoundError):
        cache.digest("nowhere")
    flushed(cache)
