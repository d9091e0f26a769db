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
import re
import struct
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from gitml.model.digest import PREFIX, Digest
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


_FROM_BYTE = {b"f": Kind.FILE, b"x": Kind.EXECUTABLE, b"l": Kind.SYMLINK, b"d": Kind.DIRECTORY}
_TO_BYTE = {kind.value: byte for byte, kind in _FROM_BYTE.items()}
"""By value, since hashing a member of an `Enum` is a call of a Python function."""
_ROW = re.compile(rb"([fxld])(.{8})(.{32})(?:([^\0./gG\x80-\xff][^\0/\x80-\xff]*)|([^\0]*))\0", re.DOTALL)
"""An entry. The first form of a name is one that no file system folds to `.git` or `.gitml` and needs no other look."""


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
    fsencode, raw = os.fsencode, bytes.fromhex
    return encode_rows(
        (fsencode(name), _TO_BYTE[kind._value_], size, raw(digest[len(PREFIX) :]))
        for name, kind, digest, size in entries
    )


def encode_rows(rows: Iterable[tuple[bytes, bytes, int, bytes]]) -> bytes:
    """Write a tree object from rows of name, kind byte, size and raw digest, in any order, as fast as may be."""
    pack = _FIXED.pack
    return HEADER + b"".join([pack(kind, size, raw) + name + b"\0" for name, kind, size, raw in sorted(rows)])


def decode_tree(data: bytes) -> list[TreeEntry]:
    """Read a tree object that may come from anyone.

    Raises:
        TreeError: A wrong header, a cut or unordered entry, or a name that would leave its folder or enter `.git`.
    """
    fsdecode = os.fsdecode
    return [
        TreeEntry(fsdecode(name), _FROM_BYTE[byte], Digest(PREFIX + raw.hex()), size)
        for name, byte, size, raw in decode_rows(data)
    ]


def decode_rows(data: bytes) -> list[tuple[bytes, bytes, int, bytes]]:
    """Read a tree object as `decode_tree` does, but into rows of name, kind byte, size and raw digest.

    Raises:
        TreeError: As `decode_tree`.
    """
    if not data.startswith(HEADER):
        raise TreeError("not a gitml tree (its header differs)")
    rows = []
    previous = b""
    number_of, match_row = int.from_bytes, _ROW.match
    at = len(HEADER)
    while at < len(data):
        match = match_row(data, at)
        if match is None:
            raise TreeError("a tree entry is damaged or cut short")
        byte, size, raw, plain, name = match.groups()
        if plain is None:
            _name(name)
        else:
            name = plain
        if name <= previous:
            raise TreeError("tree entries are out of order")
        rows.append((name, byte, number_of(size, "big"), raw))
        previous, at = name, match.end()
    return rows


def _name(raw: bytes) -> str:
    name = os.fsdecode(raw)
    if raw in (b"", b".", b"..") or b"/" in raw:
        raise TreeError(f"a tree names {name!r}, which would leave its folder")
    try:
        check_name(name)
    except PathError as error:
        raise TreeError(f"a tree names {name!r}: {error}") from error
    return name
