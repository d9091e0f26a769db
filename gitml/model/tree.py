r"""Files and folders as values: an entry (kind, digest, size) and the tree object that names a folder's entries.

A tree object is one folder, not its subfolders' content, so that one changed file rewrites one path of small objects:

    bytes 0-12   `gitml-tree/1\n`
    then, for each entry, in ascending order of the name's bytes:
      1 byte     kind: `f` file, `x` executable file, `l` symlink, `d` folder
      8 bytes    size, big-endian: bytes of the file, of the link's text, or of all files below the folder
      32 bytes   BLAKE3 of the file, of the link's text, or of the folder's own tree object
      n bytes    name, then NUL

A name holds no `/` and no NUL and is not `.` or `..`; names are unique. Bytes that are not UTF-8 are kept (they are
`surrogateescape`d in memory). A folder without entries is a header alone.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from gitml.model.digest import Digest
from gitml.model.path import PathError, check_name

HEADER = b"gitml-tree/1\n"
DEEPEST = 300
"""Folders within folders that a tree may have: a path of that many one-letter names is still far from any limit."""
_FIXED = struct.Struct(">cQ32s")


class Kind(str, Enum):
    """What stands at a path. The values are those that locks and cards carry."""

    FILE = "file"
    EXECUTABLE = "executable"
    SYMLINK = "symlink"
    DIRECTORY = "directory"


_TO_BYTE = {Kind.FILE: b"f", Kind.EXECUTABLE: b"x", Kind.SYMLINK: b"l", Kind.DIRECTORY: b"d"}
_FROM_BYTE = {byte: kind for kind, byte in _TO_BYTE.items()}


class Entry(NamedTuple):
    """Content at a path: its kind, digest, size in bytes (all files below, for a folder) and number of files."""

    kind: Kind
    digest: Digest
    size: int
    files: int = 1


class TreeEntry(NamedTuple):
    """One line of a tree object; `name` is a single component."""

    name: str
    kind: Kind
    digest: Digest
    size: int


class TreeError(ValueError):
    """Bytes that claim to be a tree object are not one."""


def encode_tree(entries: Iterable[TreeEntry]) -> bytes:
    """Write a tree object; the order of `entries` does not matter."""
    rows = sorted((os.fsencode(e.name), e) for e in entries)
    return HEADER + b"".join(_FIXED.pack(_TO_BYTE[e.kind], e.size, e.digest.raw) + name + b"\0" for name, e in rows)


def encode_rows(rows: Iterable[tuple[bytes, bytes, int, bytes]]) -> bytes:
    """Write a tree object from rows of name, kind byte, size and raw digest, in any order, as fast as may be."""
    pack = _FIXED.pack
    return HEADER + b"".join([pack(kind, size, raw) + name + b"\0" for name, kind, size, raw in sorted(rows)])


def decode_tree(data: bytes) -> list[TreeEntry]:
    """Read a tree object that may come from anyone.

    Raises:
        TreeError: A wrong header, a cut or unordered entry, or a name that would leave its folder or enter `.git`.
    """
    if not data.startswith(HEADER):
        raise TreeError("not a gitml tree (its header differs)")
    entries: list[TreeEntry] = []
    previous = b""
    at = len(HEADER)
    while at < len(data):
        if at + _FIXED.size > len(data):
            raise TreeError("a tree entry is cut short")
        byte, size, raw = _FIXED.unpack_from(data, at)
        at += _FIXED.size
        end = data.find(b"\0", at)
        if end < 0 or byte not in _FROM_BYTE:
            raise TreeError("a tree entry is damaged")
        name = data[at:end]
        if name <= previous:
            raise TreeError("tree entries are out of order")
        entries.append(TreeEntry(_name(name), _FROM_BYTE[byte], Digest.from_raw(raw), size))
        previous, at = name, end + 1
    return entries


def _name(raw: bytes) -> str:
    name = os.fsdecode(raw)
    if raw in (b"", b".", b"..") or b"/" in raw:
        raise TreeError(f"a tree names {name!r}, which would leave its folder")
    try:
        check_name(name)
    except PathError as error:
        raise TreeError(f"a tree names {name!r}: {error}") from error
    return name
