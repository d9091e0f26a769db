"""The stamp of the last wholly fresh verdict: while nothing that it rests on has moved, it stands.

A no-op is the most frequent call of all. Its verdict rests on files (locks, inputs, outputs, code, declarations), on
places where a file would change what is imported, on what Git tracks and ignores, and on declared variables. All of
them are written down with their stat; to confirm the verdict takes one `lstat` each (1.6 us) and no hashing, no JSON
per step and no Git.

Bytes of the value: a JSON header line (the rows to show, the names of the paths, and of each folder of data the mark
of what is remembered of it), then five signed 64-bit numbers per path in the order of the header: size, mtime_ns,
ctime_ns, inode, mode; all -1 where nothing was there. A folder of data is confirmed by its rows in the stat cache,
whose bytes the mark names: they are not written down a second time.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from array import array
from collections.abc import Mapping, Sequence

from gitml.engine.witness import Below, Stood, Witnessed
from gitml.hashing.file import digest_bytes
from gitml.hashing.folders import FolderCache, mark_of
from gitml.hashing.state import StateDatabase

_KIND = "fresh"
_ABSENT = (-1, -1, -1, -1, -1)
_INODE_FOLD = 1 << 64


class FreshStamp:
    """Keeps one stamp for the project at the root of `folders`; `version` is gitml's."""

    def __init__(self, folders: FolderCache, database: StateDatabase, *, version: str) -> None:
        self._root = folders.root
        self._folders = folders
        self._database = database
        self._name = f"{version}/{sys.byteorder}".encode()

    def write(
        self,
        rows: Sequence[object],
        witness: Witnessed,
        *,
        before_ns: int,
        variables: Mapping[str, str | None],
    ) -> bool:
        """Write down a verdict, unless something it rests on is too young to be trusted by its stat.

        `before_ns`: the file system's time before the first of these files was looked at.
        """
        if not all(_is_settled(stood, before_ns) for stood in witness.values()):
            return False
        single = {path: stood for path, stood in witness.items() if not isinstance(stood, Below)}
        folders = {path: mark_of(stood.rows).hex() for path, stood in witness.items() if isinstance(stood, Below)}
        header = {"rows": rows, "variables": variables, "paths": list(single), "folders": folders}
        stats = array("q")
        for signature in single.values():
            stats.extend(signature if signature is not None else _ABSENT)
        value = json.dumps(header).encode() + b"\n" + stats.tobytes()
        self._database.store_memos(_KIND, {self._name: value}, replace_kind=True)
        return True

    def confirm(self, environ: Mapping[str, str]) -> list[list[object]] | None:
        """Give the rows of the last fresh verdict, if all that it rests on is as it was."""
        value = self._database.memo(_KIND, self._name)
        if value is None:
            return None
        end = value.index(b"\n")
        header = json.loads(value[:end])
        if header["variables"] != variable_digests(header["variables"], environ):
            return None
        if value[end + 1 :] != self._stats(header["paths"]):
            return None
        return header["rows"] if all(self._is_same(*folder) for folder in header["folders"].items()) else None

    def _is_same(self, path: str, mark: str) -> bool:
        """Tell whether a folder of data is as it was."""
        rows = self._folders.rows(path)
        return mark_of(rows).hex() == mark and not self._folders.stale(rows)

    def _stats(self, paths: Sequence[str]) -> bytes:
        """Stat every path below the root: one call, one row of numbers, and nothing kept but the bytes."""
        pack = struct.Struct("=5q").pack
        absent = pack(*_ABSENT)
        root, lstat, found = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY), os.stat, []
        try:
            for path in paths:
                try:
                    s = lstat(path, dir_fd=root, follow_symlinks=False)
                except OSError:
                    found.append(absent)
                    continue
                inode = s.st_ino if s.st_ino < 1 << 63 else s.st_ino - _INODE_FOLD
                found.append(pack(s.st_size, s.st_mtime_ns, s.st_ctime_ns, inode, s.st_mode))
        finally:
            os.close(root)
        return b"".join(found)


def _is_settled(stood: Stood, before_ns: int) -> bool:
    """Tell whether a file or folder was last changed before a moment."""
    if stood is None:
        return True
    if isinstance(stood, Below):
        return not stood.young and stood.newest_ns < before_ns
    return max(stood.mtime_ns, stood.ctime_ns) < before_ns


def variable_digests(names: Mapping[str, object] | Sequence[str], environ: Mapping[str, str]) -> dict[str, str | None]:
    """Digest the values of variables, so that a stamp holds no value; None for one that is not set."""
    return {n: str(digest_bytes(os.fsencode(environ[n]))) if n in environ else None for n in names}
