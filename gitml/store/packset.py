"""Find objects in all packs of a cache: flat in memory, and one search however many packs there are.

Each object costs eight bytes: the first bits of its digest above, below them its number among the rows of all packs
(a million objects in a hundred packs: 8 MB). These numbers are kept sorted, in a few runs that grow by merging as packs
are added; a candidate is held against the full digest in the pack's own index. Nothing is read before the first look.

The folder may change at any time: other processes add packs, a collector removes some. So every look compares the
folder's times first (one `stat`), and a pack that has vanished under a reader makes it look again.
"""

from __future__ import annotations

import contextlib
import functools
import os
import struct
import threading
import time
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from gitml.store.packfile import NAME, ROW, Member, NewerPackError, Pack, PackError, PackFile, column, open_pack
from gitml.store.sharing import make_folder

_SHIFT = 28
"""Bits of a row's number: 268 million objects, and one false candidate in 65,000 looks among a million."""
_NUMBER = (1 << _SHIFT) - 1
_SPAN = struct.Struct(">II")
_WORTH_ALL = 50
"""Rows that are read in one go in the time of reading one by itself."""
_OPEN = 64
_TICK_NS = 100_000_000
_COARSE_NS = 2_000_000_000
_ATTEMPTS = 5


class Place(NamedTuple):
    """Where an object lies in a pack."""

    pack: Pack
    offset: int
    length: int


class _State(NamedTuple):
    """What is known of the folder; never changed, only replaced."""

    packs: tuple[Pack, ...] = ()
    starts: tuple[int, ...] = ()
    total: int = 0
    runs: tuple[array[int], ...] = ()
    damaged: frozenset[tuple[str, bytes]] = frozenset()


class PackSet:
    """The packs below `root`/packs; safe to use from several threads at once."""

    def __init__(self, root: str) -> None:
        self._root = root
        self.folder = os.path.join(root, "packs")
        self.refused: tuple[PackError, ...] = ()
        self._lock = threading.RLock()
        self._signature: tuple[int, int, int] | None = None
        self._state = _State()
        self._inodes: dict[str, int] = {}
        self._refused_paths: set[str] = set()
        self._open = functools.lru_cache(maxsize=_OPEN)(PackFile)

    def places(self, raw: bytes, *, look: bool = True) -> list[Place]:
        """Give the places of an object that is not known to be damaged; `look`: at the folder, for changes, first.

        A collector may have removed the pack since: whoever reads there looks again when it is gone.
        """
        if look:
            self.look()
        if not self._state.runs:
            return []
        for _ in range(_ATTEMPTS):
            with contextlib.suppress(FileNotFoundError):
                return _search(self._state, raw, self._row)
            self.look(again=True)
        return []

    def find(self, raws: Iterable[bytes]) -> list[tuple[Pack, list[Member]]]:
        """Find many objects at once: by pack, what it has of them, in the order in which it lies there.

        An object may be named more than once, and those that are nowhere are left out. Does not look at the folder.
        """
        wanted = raws if isinstance(raws, Sequence) else list(raws)
        for _ in range(_ATTEMPTS):
            with contextlib.suppress(FileNotFoundError):
                return _confirmed(self._state, _candidates(self._state.runs, wanted), self._row)
            self.look(again=True)
        return []

    def packs(self) -> list[Pack]:
        """List the packs that stand in the folder now."""
        self.look(again=True)
        return list(self._state.packs)

    def read(self, place: Place) -> bytes:
        """Read bytes of a pack, unchecked; fewer where it was cut short.

        Raises:
            FileNotFoundError: The pack is gone.
        """
        return self._open(place.pack.path).read(place.length, place.offset)

    def is_damaged(self, pack: Pack, raw: bytes) -> bool:
        """Tell whether an object counts as absent from a pack."""
        return (pack.path, raw) in self._state.damaged

    def mark_damaged(self, pack: Pack, raw: bytes) -> None:
        """Let an object count as absent, here and in every process that reads the pack's index from now on."""
        pack.mark_damaged(raw, self._root)
        with self._lock:
            self._state = self._state._replace(damaged=self._state.damaged | {(pack.path, raw)})

    def look(self, *, again: bool = False) -> None:
        """Learn which packs have come and gone; `again`: whatever the folder's times say."""
        try:
            status = os.stat(self.folder)
        except (FileNotFoundError, NotADirectoryError):
            if self._state.packs:
                self._forget()
            return
        signature = (status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        if again or signature != self._signature:
            with self._lock:
                self._load(_listed(self.folder))
                self._signature = signature if _is_settled(status.st_mtime_ns) else None

    def _forget(self) -> None:
        with self._lock:
            self._state, self._inodes, self._signature = _State(), {}, None
            self._open.cache_clear()

    def _load(self, listed: dict[str, int]) -> None:
        """Take in what stands there; a pack that was written once more, over a damaged one, has another inode."""
        wanted = {path: inode for path, inode in listed.items() if path not in self._refused_paths}
        state, inodes = self._state, self._inodes
        if not inodes.items() <= wanted.items():
            state, inodes = _State(), {}
            self._open.cache_clear()
        found = []
        for path in sorted(wanted.keys() - inodes.keys()):
            try:
                pack, rows = open_pack(path)
            except FileNotFoundError:
                continue
            except PackError as error:
                self._refuse(error)
                continue
            found.append((pack, column(rows, "Q")[::5]))
            inodes = {**inodes, path: wanted[path]}
        self._state, self._inodes = _extended(state, found) if found else state, inodes

    def _refuse(self, error: PackError) -> None:
        """Set aside what is no pack, once; a newer one stays where it is."""
        self.refused += (error,)
        if not isinstance(error, NewerPackError):
            folder = os.path.join(self._root, "quarantine")
            with contextlib.suppress(OSError):  # in a cache that is only read it stays, and is passed over
                make_folder(self._root, folder)
                os.rename(error.path, os.path.join(folder, os.path.basename(error.path)))
                return
        self._refused_paths.add(error.path)

    def _row(self, pack: Pack, number: int) -> bytes:
        return self._open(pack.path).read(ROW.size, pack.index + number * ROW.size)


def _listed(folder: str) -> dict[str, int]:
    """Give the inode of each file with a pack's name, by path."""
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as members:
        return {member.path: member.inode() for member in members if NAME.match(member.name)}
    return {}


def _extended(state: _State, found: list[tuple[Pack, array[int]]]) -> _State:
    """Add packs, each with the first eight bytes of its digests in ascending order."""
    packs, starts, total = list(state.packs), list(state.starts), state.total
    damaged = set(state.damaged)
    fresh = []
    for pack, prefixes in found:
        packs.append(pack)
        starts.append(total)
        keys = [prefix & ~_NUMBER | number for number, prefix in enumerate(prefixes, total)]
        fresh.append(array("Q", keys))
        total += pack.count
        damaged.update((pack.path, raw) for raw in pack.damaged())
    runs = [*state.runs, _merged(fresh)]
    while len(runs) > 1 and len(runs[-2]) < 2 * len(runs[-1]):
        runs[-2:] = [_merged(runs[-2:])]
    return _State(tuple(packs), tuple(starts), total, tuple(runs), frozenset(damaged))


def _merged(runs: Sequence[array[int]]) -> array[int]:
    """Merge ascending runs, a sixteenth of all keys at a time: as Python numbers they take five times the memory."""
    merged = array("Q")
    firsts = [0] * len(runs)
    for part in range(1, 17):
        ends = [bisect_left(run, part << 60) for run in runs]
        keys: list[int] = []
        for run, first, end in zip(runs, firsts, ends, strict=True):
            keys += run[first:end]
        keys.sort()
        merged.extend(keys)
        firsts = ends
    return merged


def _search(state: _State, raw: bytes, row: Callable[[Pack, int], bytes]) -> list[Place]:
    """Find one object."""
    places = []
    low = int.from_bytes(raw[:8], "big") & ~_NUMBER
    for run in state.runs:
        at = bisect_left(run, low)
        while at < len(run) and run[at] - low <= _NUMBER:
            number = run[at] & _NUMBER
            which = bisect_right(state.starts, number) - 1
            pack = state.packs[which]
            data = row(pack, number - state.starts[which])
            if _is_row_of(raw, data) and (pack.path, raw) not in state.damaged:
                places.append(Place(pack, *_SPAN.unpack_from(data, 32)))
            at += 1
    return places


def _is_row_of(raw: bytes, data: bytes) -> bool:
    return data[:32] == raw and len(data) == ROW.size


def _candidates(runs: Sequence[array[int]], raws: Iterable[bytes]) -> list[tuple[int, bytes]]:
    """Give the numbers of the rows that may be those of these objects, in ascending order."""
    found = []
    number_of = int.from_bytes
    for raw in raws:
        low = number_of(raw[:8], "big") & ~_NUMBER
        for run in runs:
            at = bisect_left(run, low)
            while at < len(run) and run[at] - low <= _NUMBER:
                found.append((run[at] & _NUMBER, raw))
                at += 1
    found.sort()
    return found


def _confirmed(
    state: _State, candidates: list[tuple[int, bytes]], row: Callable[[Pack, int], bytes]
) -> list[tuple[Pack, list[Member]]]:
    """Hold candidates against the packs' own rows, leaving out what is marked as damaged.

    The rows of a pack are read at once where many of them are asked for.
    """
    found = []
    first = 0
    while first < len(candidates):
        which = bisect_right(state.starts, candidates[first][0]) - 1
        pack, start = state.packs[which], state.starts[which]
        end = bisect_left(candidates, (start + pack.count,), first)
        rows = pack.rows() if (end - first) * _WORTH_ALL > pack.count else None
        members = []
        for number, raw in candidates[first:end]:
            at = (number - start) * ROW.size
            data = row(pack, number - start) if rows is None else rows[at : at + ROW.size]
            if _is_row_of(raw, data) and (pack.path, raw) not in state.damaged:
                members.append((*_SPAN.unpack_from(data, 32), raw))
        if members:
            members.sort()
            found.append((pack, members))
        first = end
    return found


def _is_settled(mtime_ns: int) -> bool:
    """Tell whether a folder that was listed just now would show by its times that it changed once more.

    A file system's clock ticks every few milliseconds, some only every second or two.
    """
    tick = _TICK_NS if mtime_ns % 1_000_000_000 else _COARSE_NS
    return time.time_ns() - mtime_ns > tick
