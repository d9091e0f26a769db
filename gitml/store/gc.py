"""Delete what nothing needs: records of runs, then objects, then what was left lying about.

Why no object is lost that something needs. A mark begins with no writer active and a token of the lease; what is
deleted was found dead by it, and is deleted only while the lease is held alone and still has that token
(`gitml/store/lease.py`). So no writer has begun since the mark began, and for each object there are these cases:

- It was needed when the mark began. Then what needs it was met by the mark: names that were there throughout are read,
  and such that Git moved from one place to another meanwhile are met at one of them (`gitml/project/roots.py`).
- A writer needs it that ended before: its lock or pointer was there when the mark began. One that was killed before it
  wrote that has promised nothing.
- A writer needs it that began later, or begins now: it has changed the token, or is still waiting for the lease; in
  both cases it has not yet looked for a single object. So it never found an object present, and did not write it, that
  is deleted afterwards; nor can its pack be one of those that were judged.
- Git brings a name from elsewhere (a fetch, a branch of a commit that none had) after the mark. The object was needed
  by nobody then; it might as well have been deleted the day before, and is made or fetched again.

No clock has a part in that. Clocks decide about the grace period of runs that nothing names, and of leftovers. The
later one of a record's own time and its file's counts; a wrong clock shortens or lengthens that period, and no more.

Crash story: records go first, so that none names what is gone; each deletion is one `unlink`; a pack is replaced by
publishing the one with its live objects before the old one is removed. After a kill at any point the next call goes on.
A tree may be left whose members are gone: whoever counts on a tree looks at all below it, as after a quarantine.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from array import array
from collections.abc import Iterable, Iterator, Set
from typing import NamedTuple

from gitml.hashing.meter import Meter
from gitml.hashing.spread import spread, usable_cpus
from gitml.store.objects import ObjectStore
from gitml.store.packfile import ROW, Pack, remove_pack

_SHARD = re.compile(r"[0-9a-f]{2}\Z")
_NAME = re.compile(r"[0-9a-f]{62}\Z")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LENGTH = 62
_MANY = 10_000
"""Files from which on their listing is spread over processes."""
_STEP = 64
"""Files that are deleted between two looks at the clock."""


class DeadShard(NamedTuple):
    """Loose objects of `objects/<name>` that nothing needs, with their sizes in bytes."""

    name: str
    members: list[str]
    sizes: list[int]


class DeadPack(NamedTuple):
    """A pack with objects that nothing needs: their raw digests and sizes. `live`: how many others it has."""

    pack: Pack
    dead: list[tuple[bytes, int]]
    live: int


class Garbage(NamedTuple):
    """What can be deleted. `records` and `leftovers`: full paths."""

    records: tuple[str, ...]
    shards: tuple[DeadShard, ...]
    packs: tuple[DeadPack, ...]
    leftovers: tuple[tuple[str, int], ...]

    @property
    def number(self) -> int:
        """How many objects are deleted."""
        return sum(len(shard.members) for shard in self.shards) + sum(len(pack.dead) for pack in self.packs)

    @property
    def size(self) -> int:
        """How many bytes they have."""
        return sum(sum(shard.sizes) for shard in self.shards) + sum(
            size for pack in self.packs for _, size in pack.dead
        )

    def objects(self) -> Iterator[tuple[bytes, int]]:
        """Give raw digest and size of every object that is deleted."""
        for shard in self.shards:
            for name, size in zip(shard.members, shard.sizes, strict=True):
                yield bytes.fromhex(shard.name + name), size
        for pack in self.packs:
            yield from pack.dead


def dead_shards(root: str, live: Set[bytes]) -> Iterator[DeadShard]:
    """Find the loose objects that are not live; only dead ones cost a `stat`, so a clean cache is read like `ls`."""
    top = os.path.join(root, "objects")
    shards = [name for name in _names(top) if _SHARD.match(name)]
    if not shards:
        return
    many = len(_names(os.path.join(top, shards[0]))) * len(shards) > _MANY
    work = spread(shards, lambda: _Lister(top, live), processes=usable_cpus() if many else 1)
    with contextlib.closing(work):
        for index, data in work:
            if data:
                yield _read_shard(shards[index], data)


class _Lister:
    """Looks through shards; gives the sizes of dead objects, as 8 bytes each, then their names."""

    def __init__(self, top: str, live: Set[bytes]) -> None:
        self._top = top
        self._live = live

    def one(self, item: str) -> bytes:
        try:
            folder = os.open(os.path.join(self._top, item), _FOLDER)
        except (FileNotFoundError, NotADirectoryError):
            return b""
        try:
            dead = _sized([name for name in os.listdir(folder) if not _is_live(item, name, self._live)], folder)
        finally:
            os.close(folder)
        return array("Q", (size for _, size in dead)).tobytes() + "".join(name for name, _ in dead).encode()

    def end(self) -> bytes:
        return b""


def _read_shard(shard: str, data: bytes) -> DeadShard:
    count = len(data) // (8 + _LENGTH)
    names = data[8 * count :].decode()
    sizes = array("Q", data[: 8 * count]).tolist()
    return DeadShard(shard, [names[at : at + _LENGTH] for at in range(0, len(names), _LENGTH)], sizes)


def dead_packs(packs: Iterable[Pack], live: Set[bytes]) -> Iterator[DeadPack]:
    """Find the packs that are worth rewriting: more than half of their bytes are those of dead objects."""
    for pack in packs:
        try:
            rows = pack.rows()
        except FileNotFoundError:
            continue  # another collector was here
        dead = _dead_rows(rows, live)
        if len(dead) == pack.count or 2 * sum(size for _, size in dead) > pack.size:
            yield DeadPack(pack, dead, pack.count - len(dead))


def _dead_rows(rows: bytes, live: Set[bytes]) -> list[tuple[bytes, int]]:
    """Give the objects of an index that are not live; a million that are cost half a second."""
    lives = map(live.__contains__, [rows[at : at + 32] for at in range(0, len(rows), ROW.size)])
    dead = [number * ROW.size for number, is_live in enumerate(lives) if not is_live]
    return [(raw, size) for raw, _, size in (ROW.unpack_from(rows, at) for at in dead)]


class Sweep:
    """Deletes garbage bit by bit. `done`: objects that are deleted; `records`: records of runs that are."""

    def __init__(self, objects: ObjectStore, garbage: Garbage, live: Set[bytes], meter: Meter) -> None:
        self._objects = objects
        self._garbage = garbage
        self._live = live
        self._meter = meter
        self.records: list[str] = []
        self.done: list[tuple[bytes, int]] = []
        self.leftovers: list[tuple[str, int]] = []

    def steps(self) -> Iterator[None]:
        """Delete, stopping often: whoever calls may let go of the lease there, and must check it before going on.

        Raises:
            OSError: Something cannot be deleted; all the rest can be, by another call.
        """
        for at, path in enumerate(self._garbage.records):
            _unlink(path)
            self.records.append(path)
            if at % _STEP == _STEP - 1:
                yield
        yield
        for shard in self._garbage.shards:
            yield from self._shard(shard)
        for pack in self._garbage.packs:
            self._pack(pack)
            yield
        for at, (path, size) in enumerate(self._garbage.leftovers):
            _unlink(path)
            self.leftovers.append((path, size))
            if at % _STEP == _STEP - 1:
                yield

    def _shard(self, shard: DeadShard) -> Iterator[None]:
        folder = os.path.join(self._objects.root, "objects", shard.name)
        for start in range(0, len(shard.members), _STEP):
            members = shard.members[start : start + _STEP]
            sizes = shard.sizes[start : start + _STEP]
            descriptor = os.open(folder, _FOLDER)
            try:
                for name, size in zip(members, sizes, strict=True):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(name, dir_fd=descriptor)
                    self.done.append((bytes.fromhex(shard.name + name), size))
            finally:
                os.close(descriptor)
            self._meter.advance(len(members), sum(sizes))
            yield

    def _pack(self, found: DeadPack) -> None:
        if found.live:
            with contextlib.suppress(FileNotFoundError):  # another collector was here
                self._objects.repack(found.pack, self._live.__contains__)
        else:
            remove_pack(found.pack.path)
        self.done.extend(found.dead)
        self._meter.advance(len(found.dead), sum(size for _, size in found.dead))


def _is_live(shard: str, name: str, live: Set[bytes]) -> bool:
    """Tell whether a file stays; what has not the form of an object is no matter of ours."""
    try:
        return bytes.fromhex(shard + name) in live or not _NAME.match(name)
    except ValueError:
        return True


def _sized(names: list[str], folder: int) -> list[tuple[str, int]]:
    """Give the files with their sizes, but for those that another collector has deleted, and what is no file."""
    try:
        found = [(name, os.stat(name, dir_fd=folder, follow_symlinks=False)) for name in names]
    except FileNotFoundError:
        there = set(os.listdir(folder))
        return _sized([name for name in names if name in there], folder)
    return [(name, status.st_size) for name, status in found if stat.S_ISREG(status.st_mode)]


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
