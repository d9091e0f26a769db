"""How much lies in a cache: every object with its size and age, and the files that are none."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from array import array
from collections.abc import Iterator
from typing import NamedTuple

from gitml.hashing.spread import spread, usable_cpus
from gitml.store.packfile import ROW
from gitml.store.packset import PackSet

_SHARD = re.compile(r"[0-9a-f]{2}\Z")
_NAME = re.compile(r"[0-9a-f]{62}\Z")
_LENGTH = 62
_ROW_LENGTH = 8 + 8 + _LENGTH
_MANY = 10_000
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Present(NamedTuple):
    """An object: its raw digest, size in bytes, and the time of the file it is in, in seconds since the epoch."""

    raw: bytes
    size: int
    changed: float


class Amount(NamedTuple):
    """Files, and their bytes."""

    number: int = 0
    size: int = 0


def loose_objects(root: str) -> Iterator[Present]:
    """Give all objects that are files of their own; those that go meanwhile may be left out."""
    top = os.path.join(root, "objects")
    shards = sorted(name for name in _names(top) if _SHARD.match(name))
    if not shards:
        return
    many = len(_names(os.path.join(top, shards[0]))) * len(shards) > _MANY
    work = spread(shards, lambda: _Lister(top), processes=usable_cpus() if many else 1)
    with contextlib.closing(work):
        for index, data in work:
            number = len(data) // _ROW_LENGTH
            numbers = array("Q", data[: 16 * number])
            names = data[16 * number :].decode()
            for at in range(number):
                name = shards[index] + names[at * _LENGTH : (at + 1) * _LENGTH]
                yield Present(bytes.fromhex(name), numbers[at], numbers[number + at])


def packed_objects(root: str) -> Iterator[Present]:
    """Give all objects in packs."""
    for pack in PackSet(root).packs():
        try:
            changed, rows = os.stat(pack.path).st_mtime, pack.rows()
        except FileNotFoundError:
            continue  # a collector was here
        for raw, _, size in ROW.iter_unpack(rows):
            yield Present(raw, size, changed)


def packs(root: str) -> Amount:
    """Count the packs, with all that is in their files."""
    found = PackSet(root).packs()
    return Amount(len(found), sum(pack.size for pack in found))


def files_below(folder: str) -> Amount:
    """Count the files below a folder; nothing is there, nothing is counted."""
    number = size = 0
    for here, _, names in os.walk(folder):
        for name in names:
            status = os.lstat(os.path.join(here, name))
            number, size = number + 1, size + status.st_size
    return Amount(number, size)


class _Lister:
    """Looks through shards; gives all sizes and all times as 8 bytes each, then all names."""

    def __init__(self, top: str) -> None:
        self._top = top

    def one(self, item: str) -> bytes:
        try:
            folder = os.open(os.path.join(self._top, item), _FOLDER)
        except (FileNotFoundError, NotADirectoryError):
            return b""
        try:
            found = list(_looked_at(folder))
        finally:
            os.close(folder)
        sizes = array("Q", (status.st_size for _, status in found)).tobytes()
        times = array("Q", (max(0, int(status.st_mtime)) for _, status in found)).tobytes()
        return sizes + times + "".join(name for name, _ in found).encode()

    def end(self) -> bytes:
        return b""


def _looked_at(folder: int) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as members:
        for member in members:
            if _NAME.match(member.name):
                try:
                    status = member.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if stat.S_ISREG(status.st_mode):
                    yield member.name, status


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
