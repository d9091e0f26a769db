"""Folders that gitml wrote itself are known at the next look."""

from __future__ import annotations

import os
from pathlib import Path

from gitml.engine.sinks import is_junk
from gitml.hashing.folderrow import Contents, pack_stat
from gitml.hashing.folders import FolderCache
from gitml.hashing.state import StateDatabase
from gitml.hashing.written import Written, remember_written
from tests.unit.test_scan import Place, Reading, fill


def write_down(place: Place, path: str) -> None:
    """Remember a folder as if it had been written just now: by what a scan says of its bytes."""
    row = place.scan(path, keep_listed=True).rows[path]
    database = StateDatabase(str(place.machine / "state.db"))
    cache = FolderCache(str(place.root), database, place.clock)
    contents = cache.contents(path, row)
    assert isinstance(contents, Contents) and row.listed is not None
    full = place.root / path
    stats = b"".join(pack_stat(os.lstat(full / os.fsdecode(name))) for name in row.listed.names)
    database.store_folders([], forget=[os.fsencode(path)])
    written = Written(path, pack_stat(os.lstat(full)), row.folders, row.listed.names, stats, contents, row.tree)
    remember_written(cache, [written], is_junk=is_junk)
    database.close()


def test_what_was_written_is_not_read_again(tmp_path: Path) -> None:
    place = Place(tmp_path)
    fill(place)
    place.scan()
    for path in ("data/b/d", "data/empty", "data/b", "data"):
        write_down(place, path)
    assert place.scan().entry == place.truth()
    assert Reading.seen == []
    place.clock.close()


def test_an_edit_after_it_was_written_is_seen(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write("data/x", b"one")
    write_down(place, "data")
    place.write("data/x", b"two")
    assert place.scan().entry == place.truth()
    place.clock.close()
