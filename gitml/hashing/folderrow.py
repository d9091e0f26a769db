"""What is remembered of one folder: the names in it, the stat and digest of each file, and the tree that they make.

One row per folder, not per file: to confirm a folder takes one `stat` per file and one comparison of bytes, and a row
is read, checked and written whole. A file costs 97 bytes and its name, whatever the size of the data set.

The row lies in the state database as two values, of which the second is read only where something has changed. Numbers
are in the machine's own order, which the database never leaves; a *signature* is five signed 64-bit numbers: size,
mtime_ns, ctime_ns, inode, mode.

    first   16 bytes  xxh3-128 of what follows
            64 bytes  flags, newest_ns, bytes and files below, members that are files, that are folders, length of names
            40 bytes  signature of the folder itself, before it was listed; zeros: too young to be trusted
            32 bytes  BLAKE3 of its tree object
            49 bytes  for each folder in it: flags, bytes, files, tree (in the order of their names)
            n bytes   names of the folders, then of the files (and links), each ended by NUL, each group sorted
            40 bytes  for each file: its signature; zeros: too young to be trusted
    second  16 bytes  xxh3-128 of the first value's check and of what follows
             1 byte   for each file: its kind, as in a tree object
             8 bytes  for each file: its size as content (a link that stands for an object of the store has another)
            16 bytes  for each file: xxh3-128
            32 bytes  for each file: BLAKE3

`newest_ns` is the latest mtime or ctime of the folder and its files, so that a verdict knows whether it may be kept.
"""

from __future__ import annotations

import os
import struct
from array import array
from collections.abc import Sequence
from typing import NamedTuple

import xxhash

from gitml.model.tree import encode_rows

JUNK = 1
"""The folder, or one below, holds what inputs leave out."""
LINKS = 2
"""The folder, or one below, holds symlinks."""
WITHOUT_JUNK = 4
"""Junk was left out of the row; where there is none, both ways of looking give the same."""
HERE = 3
"""Bits to shift by: `JUNK << HERE` is said of the folder alone."""

SIGNATURE = struct.Struct("=5q")
UNTRUSTED = bytes(SIGNATURE.size)
_CHECK = 16
_HEAD = struct.Struct("=8q")
_FOLDER = struct.Struct("=Bqq32s")
_INODE_FOLD = 1 << 64
SIZE = 8
XXH3 = 16
RAW = 32


class Member(NamedTuple):
    """A folder in a folder; `tree` is the raw digest of its tree object."""

    name: bytes
    flags: int
    size: int
    files: int
    tree: bytes


class FolderRow(NamedTuple):
    """A folder as it was looked at; see the module for the fields.

    `check` is that of the stored form and names the row. `names` and `stats` are of files and links alone.
    """

    check: bytes
    flags: int
    newest_ns: int
    size: int
    files: int
    own: bytes
    tree: bytes
    folders: tuple[Member, ...]
    names: tuple[bytes, ...]
    stats: bytes


class Contents(NamedTuple):
    """What a row's second value holds: kind bytes, sizes, 16 and 32 bytes of hashes, for each file in its order."""

    kinds: bytes
    sizes: bytes
    xxh3s: bytes
    digests: bytes


def pack_stat(status: os.stat_result) -> bytes:
    """Give a signature's bytes."""
    inode = status.st_ino
    return SIGNATURE.pack(
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        inode if inode < 1 << 63 else inode - _INODE_FOLD,
        status.st_mode,
    )


def newest_of(stats: bytes, own: bytes) -> int:
    """Give the latest mtime or ctime, in ns since the epoch."""
    numbers = numbers_of(stats + own)
    changed, rewritten = max(numbers[1::5]), max(numbers[2::5])
    return max(changed, rewritten)


def numbers_of(packed: bytes) -> array[int]:
    """Read packed signed 64-bit numbers."""
    numbers = array("q")
    numbers.frombytes(packed)
    return numbers


def encode_row(
    row: FolderRow, contents: Contents, *, untrusted: Sequence[int] = (), trust_own: bool = True
) -> tuple[bytes, bytes, bytes]:
    """Give the two stored values and the check; `untrusted` are the numbers of files that were too young."""
    stats = bytearray(row.stats)
    for number in untrusted:
        stats[number * SIGNATURE.size : (number + 1) * SIGNATURE.size] = UNTRUSTED
    names = b"".join([name + b"\0" for name in (*(f.name for f in row.folders), *row.names)])
    body = b"".join(
        (
            _HEAD.pack(row.flags, row.newest_ns, row.size, row.files, len(row.names), len(row.folders), len(names), 0),
            row.own if trust_own else UNTRUSTED,
            row.tree,
            *(_FOLDER.pack(f.flags, f.size, f.files, f.tree) for f in row.folders),
            names,
            stats,
        )
    )
    check = xxhash.xxh3_128_digest(body)
    second = b"".join(contents)
    return check + body, xxhash.xxh3_128_digest(check + second) + second, check


def decode_row(value: bytes) -> FolderRow | None:
    """Read a row's first value; None when its bytes are not what was written."""
    body = memoryview(value)[_CHECK:]
    check = value[:_CHECK]
    if len(body) < _HEAD.size or xxhash.xxh3_128_digest(body) != check:
        return None
    flags, newest_ns, size, files, file_count, folder_count, names_length, _ = _HEAD.unpack_from(body)
    at = _HEAD.size
    own = bytes(body[at : at + SIGNATURE.size])
    at += SIGNATURE.size
    tree = bytes(body[at : at + RAW])
    at += RAW
    tables = at + folder_count * _FOLDER.size
    names = bytes(body[tables : tables + names_length]).split(b"\0")[:-1]
    members = _FOLDER.iter_unpack(body[at:tables])
    folders = tuple(Member(name, *fields) for name, fields in zip(names, members, strict=False))
    stats = bytes(body[tables + names_length :])
    if len(names) != folder_count + file_count or len(stats) != file_count * SIGNATURE.size:
        return None
    return FolderRow(check, flags, newest_ns, size, files, own, tree, folders, tuple(names[folder_count:]), stats)


def decode_contents(value: bytes, row: FolderRow) -> Contents | None:
    """Read a row's second value; None when it is not that of the row."""
    body = value[_CHECK:]
    count = len(row.names)
    if len(body) != count * (1 + SIZE + XXH3 + RAW) or xxhash.xxh3_128_digest(row.check + body) != value[:_CHECK]:
        return None
    ends = (count, count * (1 + SIZE), count * (1 + SIZE + XXH3))
    return Contents(body[: ends[0]], body[ends[0] : ends[1]], body[ends[1] : ends[2]], body[ends[2] :])


def tree_of(row: FolderRow, contents: Contents, *, chosen: Sequence[int] | None = None) -> bytes:
    """Write the tree object of a folder; `chosen`: numbers of the files that are in it (default: all)."""
    numbers = range(len(row.names)) if chosen is None else chosen
    sizes = numbers_of(contents.sizes)
    kinds, digests = contents.kinds, contents.digests
    rows = [(f.name, b"d", f.size, f.tree) for f in row.folders]
    rows += [(row.names[n], kinds[n : n + 1], sizes[n], digests[n * RAW : (n + 1) * RAW]) for n in numbers]
    return encode_rows(rows)
