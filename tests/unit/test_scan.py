"""Folders as wholes: a scan says what a walk over every file says, and looks only at what may have changed."""

from __future__ import annotations

import os
import random
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitml.engine.sinks import is_junk
from gitml.hashing import scan as scan_module
from gitml.hashing.clock import FileClock
from gitml.hashing.file import ChangedWhileReadError, NotRegularError, digest_bytes, digest_file
from gitml.hashing.folderrow import decode_contents, decode_row
from gitml.hashing.folders import FolderCache
from gitml.hashing.intake import Digesting, Spot, Taken
from gitml.hashing.meter import SILENT
from gitml.hashing.scan import Scan, Scanner, Scans, Want, links_in
from gitml.hashing.state import StateDatabase
from gitml.hashing.tree import UnnameableError, kind_of, walk
from gitml.model.digest import Digest
from gitml.model.tree import Entry


class Plain:
    """A walk that remembers nothing: the truth that scans are compared with."""

    def __init__(self, root: Path, *, without_junk: bool) -> None:
        self.root = root
        self.without_junk = without_junk

    def skips(self, path: str) -> bool:
        return self.without_junk and is_junk(path)

    def whole(self, path: str) -> Entry | None:
        return None

    def linked(self, path: str, text: bytes) -> Entry | None:
        return None

    def file(self, path: str, status: os.stat_result) -> Entry:
        return Entry(kind_of(status), digest_file(str(self.root / path)).digest, status.st_size)

    def symlink(self, path: str, status: os.stat_result, text: bytes) -> Digest:
        return digest_bytes(text)

    def folder(self, path: str, status: os.stat_result, data: bytes) -> Digest:
        return digest_bytes(data)


class Reading(Digesting):
    """Digests, and counts what it has to look at."""

    seen: ClassVar[list[str]] = []

    def take(self, spot: Spot, known: Taken | None) -> Taken:
        Reading.seen.append(spot.path)
        return super().take(spot, known)


class Place:
    """A root with folders of data and a state database beside it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.machine = folder / "machine"
        self.root.mkdir()
        self.clock = FileClock(str(self.machine))

    def scan(
        self, path: str = "data", *, without_junk: bool = False, again: bool = False, keep_listed: bool = False
    ) -> Scan:
        Reading.seen = []
        database = StateDatabase(str(self.machine / "state.db"))
        try:
            cache = FolderCache(str(self.root), database, self.clock)
            want = Want(
                intake=Reading,
                meter=SILENT,
                is_junk=is_junk,
                keep_junk=not without_junk,
                again=again,
                keep_listed=keep_listed,
            )
            return Scanner(cache, want).scan(path)
        finally:
            database.close()

    def settled(self, path: str = "data", *, without_junk: bool = False, keep_listed: bool = False) -> Scan:
        """Scan when every file is older than a tick, so that all of it is trusted."""
        self.tick()
        return self.scan(path, without_junk=without_junk, keep_listed=keep_listed)

    def tick(self) -> None:
        moment = self.clock.now_ns()
        while self.clock.now_ns() <= moment:
            pass

    def truth(self, path: str = "data", *, without_junk: bool = False) -> Entry | None:
        return walk(str(self.root), path, Plain(self.root, without_junk=without_junk))

    def write(self, path: str | bytes, data: bytes = b"") -> None:
        full = os.path.join(os.fsencode(self.root), os.fsencode(path))
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(data)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.clock.close()


def fill(place: Place) -> None:
    place.write("data/a.bin", b"a")
    place.write("data/b/c.bin", b"cc")
    place.write("data/b/d/e.bin", b"eee")
    (place.root / "data/empty").mkdir()
    (place.root / "data/b/link").symlink_to("c.bin")
    os.chmod(place.root / "data/a.bin", 0o755)


def test_a_scan_says_what_a_walk_says(place: Place) -> None:
    fill(place)
    assert place.scan().entry == place.truth()
    assert place.settled().entry == place.truth()


def test_what_has_not_moved_is_not_read_again(place: Place) -> None:
    fill(place)
    place.settled()
    place.scan()
    assert Reading.seen == []


def test_one_edit_reads_one_file(place: Place) -> None:
    fill(place)
    before = place.settled().entry
    place.tick()
    place.write("data/b/c.bin", b"CC")
    after = place.settled().entry
    assert Reading.seen == ["data/b/c.bin"]
    assert after == place.truth() != before


def test_an_edit_of_the_same_size_with_its_old_time_is_seen(place: Place) -> None:
    fill(place)
    place.settled()
    path = place.root / "data/b/d/e.bin"
    times = path.stat()
    path.write_bytes(b"EEE")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert place.scan().entry == place.truth()
    assert Reading.seen == ["data/b/d/e.bin"]


def test_a_file_that_took_the_place_of_another_is_seen(place: Place) -> None:
    fill(place)
    place.settled()
    old = (place.root / "data/a.bin").stat()
    place.write("other", b"z")
    os.chmod(place.root / "other", 0o755)
    os.utime(place.root / "other", ns=(old.st_atime_ns, old.st_mtime_ns))
    os.replace(place.root / "other", place.root / "data/a.bin")
    assert place.scan().entry == place.truth()


def test_a_file_of_the_last_tick_is_never_trusted(place: Place) -> None:
    """An edit in the same tick leaves the same stat: what was hashed in it must be hashed again."""
    for number in range(50):
        place.write("data/x", b"%02d" % number)
        assert place.scan().entry == place.truth()


def test_a_mode_that_changed_is_seen(place: Place) -> None:
    fill(place)
    place.settled()
    os.chmod(place.root / "data/b/c.bin", 0o755)
    assert place.scan().entry == place.truth()


def test_a_folder_that_became_a_file_and_back(place: Place) -> None:
    fill(place)
    place.settled()
    shutil.rmtree(place.root / "data/b")
    place.write("data/b", b"now a file")
    assert place.settled().entry == place.truth()
    (place.root / "data/b").unlink()
    place.write("data/b/c.bin", b"cc")
    assert place.settled().entry == place.truth()


def test_junk_is_left_out_of_one_view_and_kept_in_the_other(place: Place) -> None:
    fill(place)
    place.write("data/b/__pycache__/x.pyc", b"junk")
    for _ in range(3):
        assert place.settled(without_junk=True).entry == place.truth(without_junk=True)
        assert place.settled().entry == place.truth()
    assert place.truth() != place.truth(without_junk=True)


def test_without_junk_both_views_share_what_is_known(place: Place) -> None:
    fill(place)
    place.settled(without_junk=True)
    place.scan()
    assert Reading.seen == []


def test_all_names_that_a_file_system_can_hold(place: Place) -> None:
    for name in (b"new\nline", b"\xff\xfe", b"n" * 255, "e\u0301".encode(), "\u00e9".encode(), b"A", b"a", b" ", b"-"):
        place.write(b"data/" + name, name)
        place.write(b"data/sub/" + name + b"/x" if len(name) < 255 else b"data/sub/y", name)
    assert place.settled().entry == place.truth()
    assert place.scan().entry == place.truth() and Reading.seen == []


@pytest.mark.parametrize("name", [".git", ".GIT", "git~1", ".gitml", ".g\u200cit"])
def test_names_of_git_are_refused(place: Place, name: str) -> None:
    place.write(f"data/b/{name}/x", b"x")
    with pytest.raises(UnnameableError, match="b/"):
        place.scan()


def test_a_pipe_is_refused_and_named(place: Place) -> None:
    fill(place)
    os.mkfifo(place.root / "data/b/pipe")
    with pytest.raises(NotRegularError, match="data/b/pipe"):
        place.scan()


def test_a_socket_is_refused_and_named(place: Place) -> None:
    fill(place)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place.root / "data/s"))
        with pytest.raises(NotRegularError, match="data/s"):
            place.scan()


def test_folders_nested_too_deep_are_refused(place: Place) -> None:
    deep = place.root / "data"
    deep.mkdir()
    os.chdir(deep)
    for _ in range(302):
        os.mkdir("d")
        os.chdir("d")
    os.chdir("/")
    with pytest.raises(UnnameableError, match="nested deeper"):
        place.scan()


def test_a_file_that_vanishes_is_said_to_change(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(place)
    real = scan_module.spread

    def first_gone(items: object, worker: object, *, processes: int) -> object:
        (place.root / "data/b/c.bin").unlink()
        return real(items, worker, processes=processes)  # type: ignore[arg-type]

    monkeypatch.setattr(scan_module, "spread", first_gone)
    with pytest.raises(ChangedWhileReadError, match=r"data/b/c\.bin"):
        place.scan()


def test_links_are_named(place: Place) -> None:
    fill(place)
    (place.root / "data/loop").symlink_to("loop")
    database = StateDatabase(str(place.machine / "state.db"))
    cache = FolderCache(str(place.root), database, place.clock)
    assert sorted(links_in(cache, place.settled())) == [("data", b"loop"), ("data/b", b"link")]
    assert sorted(links_in(cache, place.scan())) == [("data", b"loop"), ("data/b", b"link")]
    database.close()


def test_a_part_of_a_scan_is_that_folders_scan(place: Place) -> None:
    fill(place)
    scans = Scans()
    scans.add("data", place.settled())
    part = scans.find("data/b")
    assert part is not None and part.entry == place.truth("data/b") and set(part.rows) == {"data/b", "data/b/d"}
    assert scans.find("data/a.bin") is None and scans.find("elsewhere") is None


@pytest.mark.parametrize("column", ["head", "files", "contents"])
@pytest.mark.parametrize("at", [0, 20, 90, -1])
def test_damaged_rows_are_as_good_as_none(place: Place, column: str, at: int) -> None:
    fill(place)
    place.settled()
    with sqlite3.connect(place.machine / "state.db") as db:
        rows = db.execute(f"SELECT path, {column} FROM folder").fetchall()
        for path, value in rows:
            damaged = bytearray(value or b"?")
            damaged[at if at < len(damaged) else -1] ^= 1
            db.execute(f"UPDATE folder SET {column} = ? WHERE path = ?", (bytes(damaged), path))
    db.close()
    place.write("data/b/c.bin", b"CC")
    assert place.settled().entry == place.truth()
    assert place.scan(again=True).entry == place.truth()


@given(st.binary(max_size=400))
def test_no_bytes_are_taken_for_a_row(data: bytes) -> None:
    assert decode_row(data) is None


def test_contents_of_another_look_are_refused(place: Place) -> None:
    fill(place)
    first = place.settled().rows["data/b"]
    database = StateDatabase(str(place.machine / "state.db"))
    old = database.folder_contents(b"data/b")
    place.write("data/b/c.bin", b"CC")
    row = place.settled().rows["data/b"]
    assert old is not None and decode_contents(old, first) is not None and decode_contents(old, row) is None
    database.close()


def test_rows_of_folders_that_are_gone_are_dropped(place: Place) -> None:
    fill(place)
    place.settled()
    shutil.rmtree(place.root / "data/b")
    place.settled()
    database = StateDatabase(str(place.machine / "state.db"))
    assert sorted(path for path, _ in database.folder_heads(b"data")) == [b"data", b"data/empty"]
    database.close()


def test_what_changed_is_named_by_file(place: Place) -> None:
    fill(place)
    rows = place.settled(keep_listed=True).rows
    cache = FolderCache(str(place.root), StateDatabase(str(place.machine / "other.db")), place.clock)
    assert cache.changed(rows) == []
    place.write("data/b/c.bin", b"xx")
    place.write("data/b/d/new", b"")
    assert cache.changed(rows) == ["data/b/c.bin", "data/b/d"]
    shutil.rmtree(place.root / "data/b/d")
    assert "data/b/d" in cache.changed(rows)


_NAMES = st.sampled_from(["a", "b", "c", "x.pyc", "__pycache__", "link", "d"])
_EDITS = st.lists(st.tuples(st.sampled_from("wdmlc"), _NAMES, _NAMES, st.binary(max_size=3)), max_size=12)


@settings(max_examples=60, deadline=None)
@given(st.lists(_EDITS, min_size=1, max_size=4), st.integers(1, 4))
def test_after_any_edits_a_scan_says_what_a_walk_says(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[list[tuple[str, str, str, bytes]]], slice_: int
) -> None:
    place = Place(tmp_path_factory.mktemp("scan"))
    (place.root / "data").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan_module, "_SLICE", slice_)
        for edits in rounds:
            for edit in edits:
                apply(place.root / "data", *edit)
            for without_junk in (False, True):
                truth = place.truth(without_junk=without_junk)
                assert place.scan(without_junk=without_junk).entry == truth
                assert place.scan(without_junk=without_junk, again=True).entry == truth
    place.clock.close()


def apply(data: Path, kind: str, folder: str, name: str, content: bytes) -> None:
    """Write, delete, make a folder, link, or change the mode."""
    path = data / folder / name if kind != "d" else data / name
    if kind in "wml" and not path.parent.is_dir():
        remove(path.parent)
        path.parent.mkdir()
    if kind in "wdml":
        remove(path)
    if kind == "w":
        path.write_bytes(content)
    elif kind == "m":
        path.mkdir()
    elif kind == "l":
        path.symlink_to(os.fsdecode(content.hex() or "a"))
    elif kind == "c" and path.is_file():
        path.chmod(0o755 if content else 0o644)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def test_many_files_are_taken_in_several_processes(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    random.seed(7)
    for number in range(3000):
        place.write(f"data/{number % 7}/{number}", random.randbytes(number % 50))
    used: list[int] = []
    real = scan_module.spread

    def spread(items: object, worker: object, *, processes: int) -> object:
        used.append(processes)
        return real(items, worker, processes=processes)  # type: ignore[arg-type]

    monkeypatch.setattr(scan_module, "spread", spread)
    monkeypatch.setattr(scan_module, "usable_cpus", lambda: 3)
    assert place.scan().entry == place.truth()
    assert used == [3]


def test_an_error_in_another_process_is_raised_as_it_is(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3000):
        place.write(f"data/{number}", b"")
    os.mkfifo(place.root / "data/pipe")
    monkeypatch.setattr(scan_module, "usable_cpus", lambda: 2)
    with pytest.raises(NotRegularError, match="data/pipe"):
        place.scan()


def test_what_is_taken_again_is_offered_to_the_intake(place: Place) -> None:
    fill(place)
    place.settled()
    offered: list[bytes] = []

    class Asking(Digesting):
        def has(self, known: Taken) -> bool:
            offered.append(known.digest)
            return False

    database = StateDatabase(str(place.machine / "state.db"))
    cache = FolderCache(str(place.root), database, place.clock)
    want = Want(intake=partial(Asking), meter=SILENT, is_junk=is_junk, keep_junk=True, again=True)
    assert Scanner(cache, want).scan("data").entry == place.truth()
    assert len(offered) == 4
    database.close()
