"""The stat cache of folders: is all below a folder as it was when its tree was taken?

Measured for 100,000 files in 100 folders, warm, two cores: `find -printf` 0.20 s; one row of a table per file, read in
bulk and compared one by one, 0.50 s; one row per folder (gitml/hashing/folderrow.py) 0.23 s in one process, 0.13 s in
two and 0.27 s in two threads; `git diff-files` on an index of its own 0.09 s, which keeps 32 bits of size and inode and
does not see new files. So: one row per folder, and several processes where there is enough to do.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence

import xxhash

from gitml.hashing.clock import FileClock
from gitml.hashing.folderrow import (
    HERE,
    LINKS,
    SIGNATURE,
    Contents,
    Files,
    FolderRow,
    Stored,
    decode_contents,
    decode_files,
    decode_row,
    numbers_of,
    pack_stat,
    tree_of,
)
from gitml.hashing.intake import no_link
from gitml.hashing.opening import open_folder
from gitml.hashing.spread import spread, usable_cpus
from gitml.hashing.state import StateDatabase
from gitml.model.digest import Digest

SPREAD_FROM = 16_384
"""Files from which a second process pays: it costs 5 ms, the stat of so many 35 ms."""
_SHARE = 4_096
_FILE = ord("f")


class FolderCache:
    """Rows of folders below `root`, kept in the state database.

    `linked` tells by its text which object of the store a symlink stands for.
    """

    def __init__(
        self,
        root: str,
        database: StateDatabase,
        clock: FileClock,
        linked: Callable[[bytes], Digest | None] = no_link,
    ) -> None:
        self.root = root
        self.clock = clock
        self.linked = linked
        self._database = database

    def rows(self, path: str) -> dict[str, FolderRow]:
        """Read the heads of what is remembered of a folder and of all below it; damaged ones are left out."""
        found = ((os.fsdecode(p), decode_row(head)) for p, head in self._database.folder_heads(os.fsencode(path)))
        return {folder: row for folder, row in found if row is not None}

    def files(self, path: str, row: FolderRow) -> Files | None:
        """Give the files of a folder; None when the database has them no more, or of another look."""
        return row.listed or _files(self._database, path, row)

    def contents(self, path: str, row: FolderRow) -> Contents | None:
        """Read what else is remembered of a folder; None when that is not there or of another look."""
        value = self._database.folder_contents(os.fsencode(path))
        return None if value is None else decode_contents(value, row)

    def tree(self, path: str, row: FolderRow) -> bytes | None:
        """Make the tree object of a folder; None when the database knows it no more."""
        files, contents = self.files(path, row), self.contents(path, row)
        return None if files is None or contents is None else tree_of(row, files, contents)

    def stale(self, rows: Mapping[str, FolderRow]) -> set[str]:
        """Name the folders that are not as they were looked at: by their own stat and that of each file in them.

        Each process reads the rows of its share by itself, one at a time: a million names are never in memory at once.
        """
        total = sum(row.files_here + 1 for row in rows.values())
        shares = _shares(rows)
        processes = min(usable_cpus(), len(shares)) if total >= SPREAD_FROM else 1
        found: set[str] = set()
        worker = lambda: _Confirming(self.root, self._database, rows)  # noqa: E731 - one for each process
        with contextlib.closing(spread(shares, worker, processes=processes)) as work:
            for index, answer in work:
                if index >= 0:
                    found.update(path for path, is_stale in zip(shares[index], answer, strict=True) if is_stale)
        return found

    def changed(self, rows: Mapping[str, FolderRow]) -> list[str]:
        """Name the files that are not as they were looked at, and the folders of which only the names may differ."""
        found: list[str] = []
        root = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for path in sorted(self.stale(rows)):
                files = self.files(path, rows[path])
                found += [path] if files is None else _changed_in(root, path, files)
        finally:
            os.close(root)
        return found

    def store(self, values: Iterable[tuple[str, Stored]], *, forget: Iterable[str]) -> None:
        """Remember encoded rows by path, and drop others."""
        rows = [(os.fsencode(path), stored.head, stored.files, stored.contents) for path, stored in values]
        gone = [os.fsencode(path) for path in forget]
        if rows or gone:
            self._database.store_folders(rows, forget=gone)


def mark_of(rows: Mapping[str, FolderRow]) -> bytes:
    """Name a set of rows by their paths and checks."""
    mark = xxhash.xxh3_128()
    for path in sorted(rows):
        mark.update(os.fsencode(path) + b"\0" + rows[path].check)
    return mark.digest()


def differs(root: int, path: str, row: FolderRow, files: Files) -> bool:
    """Tell whether a folder, or a file right in it, is not as it was looked at."""
    try:
        folder = open_folder(root, path)
    except OSError:
        return True
    try:
        return pack_stat(os.fstat(folder)) != row.own or stats_of(folder, files.names) != files.stats
    except OSError:
        return True
    finally:
        os.close(folder)


def _changed_in(root: int, path: str, files: Files) -> list[str]:
    try:
        folder = open_folder(root, path)
    except OSError:
        return [path]
    found = []
    try:
        for number, name in enumerate(files.names):
            before = files.stats[number * SIGNATURE.size : (number + 1) * SIGNATURE.size]
            try:
                now = pack_stat(os.stat(name, dir_fd=folder, follow_symlinks=False))
            except OSError:
                now = b""
            if now != before:
                found.append(posixpath.normpath(f"{path}/{os.fsdecode(name)}"))
    finally:
        os.close(folder)
    return found or [path]


def stats_of(folder: int, names: Iterable[bytes]) -> bytes:
    """Stat files in an open folder: one call and one row of numbers each (1.4 us), nothing else kept.

    Raises:
        OSError: One of them is not there.
    """
    look, pack = os.stat, pack_stat
    return b"".join([pack(look(name, dir_fd=folder, follow_symlinks=False)) for name in names])


def _files(database: StateDatabase, path: str, row: FolderRow) -> Files | None:
    found = database.folder_files(os.fsencode(path))
    return None if found is None or found[0][: len(row.check)] != row.check else decode_files(*found)


class _Confirming:
    """Answers, for a share of folders, with one byte each: 1 where it is stale."""

    def __init__(self, root: str, database: StateDatabase, rows: Mapping[str, FolderRow]) -> None:
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._database = database.another()
        self._rows = rows

    def one(self, item: Sequence[str]) -> bytes:
        return bytes(self._is_stale(path, self._rows[path]) for path in item)

    def end(self) -> bytes:
        os.close(self._root)
        self._database.close()
        return b""

    def _is_stale(self, path: str, row: FolderRow) -> bool:
        files = row.listed or _files(self._database, path, row)
        if files is None or differs(self._root, path, row, files):
            return True
        return bool(row.flags & LINKS << HERE) and self._has_lost(path, row, files)

    def _has_lost(self, path: str, row: FolderRow, files: Files) -> bool:
        """Tell whether a link that stood for an object of the store leads to it no more; its own stat is the same."""
        value = self._database.folder_contents(os.fsencode(path))
        contents = None if value is None else decode_contents(value, row)
        if contents is None:
            return False
        modes, sizes = numbers_of(files.stats)[4::5], numbers_of(contents.sizes)
        try:
            folder = open_folder(self._root, path)
        except OSError:
            return True
        try:
            return any(
                stat.S_ISLNK(mode) and kind == _FILE and os.stat(name, dir_fd=folder).st_size != size
                for name, mode, kind, size in zip(files.names, modes, contents.kinds, sizes, strict=True)
            )
        except OSError:
            return True
        finally:
            os.close(folder)


def _shares(rows: Mapping[str, FolderRow]) -> list[list[str]]:
    shares: list[list[str]] = [[]]
    room = _SHARE
    for path, row in rows.items():
        if room <= 0:
            shares.append([])
            room = _SHARE
        shares[-1].append(path)
        room -= row.files_here + 1
    return shares
