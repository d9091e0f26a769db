"""What is remembered of one folder: the names in it, the stat and digest of each file, and the tree that they make.

One row per folder, not per file: to confirm a folder takes one `stat` per file and one comparison of bytes, and a row
is read, checked and written whole. A file costs 97 bytes and its name, whatever the size of the data set.

The row lies in the state database as three values: the head is read for all folders, the files where a folder is to be
confirmed, the contents where something in it has changed. Numbers are in the machine's own order, which the database
never leaves; a *signature* is five signed 64-bit numbers: size, mtime_ns, ctime_ns, inode, mode.

    head      16 bytes  xxh3-128 of what follows, which names the row
              64 bytes  flags, newest_ns, bytes and files below, members that are files, that are folders, length of the
                        names of the files, 0
              16 bytes  xxh3-128 of the second value
              40 bytes  signature of the folder itself, before it was listed; zeros: too young to be trusted
              32 bytes  BLAKE3 of its tree object
              49 bytes  for each folder in it: flags, bytes, files, tree (in the order of their names)
               n bytes  names of the folders, sorted, each ended by NUL
    files      n bytes  names of the files (and links), sorted, each ended by NUL
              40 bytes  for each of them: its signature; zeros: too young to be trusted
    contents  16 bytes  xxh3-128 of the head's check and of what follows
               1 byte   for each file: its kind, as in a tree object
               8 bytes  for each file: its size as content (a link that stands for an object of the store has another)
              16 bytes  for each file: xxh3-128
              32 bytes  for each file: BLAKE3

`newest_ns` is the latest mtime or ctime of the folder and its files, so that a verdict knows whether it may be kept.
"""

from __future__ import annotations

import os
import stat
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
_FIXED = _HEAD.size + _CHECK + SIGNATURE.size + 32
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


class Files(NamedTuple):
    """The files and links in a folder: names, sorted by their bytes, and packed signatures in that order."""

    names: tuple[bytes, ...]
    stats: bytes


class FolderRow(NamedTuple):
    """A folder as it was looked at; see the module for the fields.

    `check` is that of the stored form and names the row. `files_here`: files and links right in the folder.
    `listed`: what they are, where that is in memory; else the database has it.
    """

    check: bytes
    flags: int
    newest_ns: int
    size: int
    files: int
    own: bytes
    tree: bytes
    folders: tuple[Member, ...]
    files_here: int
    listed: Files | None


class Contents(NamedTuple):
    """What a row's third value holds: kind bytes, sizes, 16 and 32 bytes of hashes, for each file in its order."""

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


def has_links(stats: bytes) -> bool:
    """Tell whether there are symlinks among signatures, those that stand for objects of the store included."""
    return any(map(stat.S_ISLNK, set(numbers_of(stats)[4::5])))


def numbers_of(packed: bytes) -> array[int]:
    """Read packed signed 64-bit numbers."""
    numbers = array("q")
    numbers.frombytes(packed)
    return numbers


class Stored(NamedTuple):
    """The three values of a row, and its check."""

    head: bytes
    files: bytes
    contents: bytes
    check: bytes


def row_of(flags: int, own: bytes, folders: tuple[Member, ...], files: Files, contents: Contents) -> FolderRow:
    """Put a folder's row together; its tree and check are still to come. The flags of its folders are added."""
    for folder in folders:
        flags |= folder.flags
    return FolderRow(
        check=b"",
        flags=flags,
        newest_ns=newest_of(files.stats, own),
        size=sum(numbers_of(contents.sizes)) + sum(folder.size for folder in folders),
        files=len(files.names) + sum(folder.files for folder in folders),
        own=own,
        tree=b"",
        folders=folders,
        files_here=len(files.names),
        listed=files,
    )


def encode_row(row: FolderRow, contents: Contents, *, untrusted: Sequence[int] = (), trust_own: bool = True) -> Stored:
    """Give the stored values of a row with its files; `untrusted` are the numbers of those that were too young."""
    assert row.listed is not None
    stats = bytearray(row.listed.stats)
    for number in untrusted:
        stats[number * SIGNATURE.size : (number + 1) * SIGNATURE.size] = UNTRUSTED
    names = b"".join([name + b"\0" for name in row.listed.names])
    files = names + stats
    head = b"".join(
        (
            _HEAD.pack(row.flags, row.newest_ns, row.size, row.files, row.files_here, len(row.folders), len(names), 0),
            xxhash.xxh3_128_digest(files),
            row.own if trust_own else UNTRUSTED,
            row.tree,
            *(_FOLDER.pack(f.flags, f.size, f.files, f.tree) for f in row.folders),
            *(folder.name + b"\0" for folder in row.folders),
        )
    )
    check = xxhash.xxh3_128_digest(head)
    second = b"".join(contents)
    return Stored(check + head, files, xxhash.xxh3_128_digest(check + second) + second, check)


def decode_row(head: bytes) -> FolderRow | None:
    """Read a row's head; None when its bytes are not what was written."""
    body = head[_CHECK:]
    if len(body) < _FIXED or xxhash.xxh3_128_digest(body) != head[:_CHECK]:
        return None
    flags, newest_ns, size, files, count, folder_count, _, _ = _HEAD.unpack_from(body)
    own_at = _HEAD.size + _CHECK
    tree_at = own_at + SIGNATURE.size
    names_at = _FIXED + folder_count * _FOLDER.size
    members = _FOLDER.iter_unpack(body[_FIXED:names_at])
    names = body[names_at:].split(b"\0")
    folders = tuple(Member(name, *fields) for name, fields in zip(names, members, strict=False))
    own, tree = body[own_at:tree_at], body[tree_at:_FIXED]
    return FolderRow(head[:_CHECK], flags, newest_ns, size, files, own, tree, folders, count, None)


def decode_files(head: bytes, files: bytes) -> Files | None:
    """Read a row's second value by its head; None when it is of another look, or damaged."""
    body = head[_CHECK:]
    if xxhash.xxh3_128_digest(files) != body[_HEAD.size : _HEAD.size + _CHECK]:
        return None
    length = _HEAD.unpack_from(body)[6]
    return Files(tuple(files[:length].split(b"\0")[:-1]), files[length:])


def decode_contents(value: bytes, row: FolderRow) -> Contents | None:
    """Read a row's third value; None when it is not that of the row."""
    body = value[_CHECK:]
    count = row.files_here
    if len(body) != count * (1 + SIZE + XXH3 + RAW) or xxhash.xxh3_128_digest(row.check + body) != value[:_CHECK]:
        return None
    ends = (count, count * (1 + SIZE), count * (1 + SIZE + XXH3))
    return Contents(body[: ends[0]], body[ends[0] : ends[1]], body[ends[1] : ends[2]], body[ends[2] :])


def tree_of(row: FolderRow, files: Files, contents: Contents) -> bytes:
    """Write the tree object of a folder."""
    sizes = numbers_of(contents.sizes)
    kinds, digests = contents.kinds, contents.digests
    rows = [(f.name, b"d", f.size, f.tree) for f in row.folders]
    rows += [(name, kinds[n : n + 1], sizes[n], digests[n * RAW : (n + 1) * RAW]) for n, name in enumerate(files.names)]
    return encode_rows(rows)
