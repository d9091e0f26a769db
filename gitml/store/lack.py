"""Find what a folder or file names that the store does not have, by the paths at which it is needed."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Set
from typing import NamedTuple

from gitml.errors import DamagedError
from gitml.model.digest import Digest
from gitml.model.tree import DEEPEST, HEADER, Entry, Kind
from gitml.store.objects import ObjectStore

UNKNOWN = -1
"""A size that nobody wrote down."""
_ROW = re.compile(rb"([fxld])(.{8})(.{32})([^\0]+)\0", re.DOTALL)
_ROWS = re.compile(rb"(?:[fxld].{40}[^\0]+\0)*\Z", re.DOTALL)
_KINDS = {b"f": Kind.FILE, b"x": Kind.EXECUTABLE, b"l": Kind.SYMLINK, b"d": Kind.DIRECTORY}
_MOST = 20
"""Paths in one folder that are named for one object: an empty file may be needed at a million."""


class Lack(NamedTuple):
    """An object that cannot be had. `path`: where it is needed, relative to what was looked into, "" for that itself.

    `size`: the bytes that it should have; None where that is not known, as for a folder. `present`: it is there, with
    another size.
    """

    digest: Digest
    path: str
    kind: Kind
    size: int | None
    present: bool = False


class Lacks:
    """Looks into entries, into each folder and for each object once, however many commits share them.

    `lost`: objects that count as absent though they are there. The answers hold for one picture of the store: make
    another to look again. Of a folder of files that lie in packs, a file costs one search in a table (0.3 us).
    """

    def __init__(self, objects: ObjectStore, lost: Set[Digest] = frozenset()) -> None:
        self._objects = objects
        self._lost = {digest.raw for digest in lost}
        self._packed = _packed_sizes(objects, self._lost)
        self._had: dict[tuple[bytes, int | None], bool] = {}
        self._inside: dict[bytes, tuple[Lack, ...]] = {}

    def of(self, entry: Entry) -> tuple[Lack, ...]:
        """Name all that an entry lacks; nothing is known of what lies below a folder that is lacking itself."""
        return tuple(self._of(entry.digest.raw, entry.kind, entry.size, 0))

    def _of(self, raw: bytes, kind: Kind, size: int, depth: int) -> Iterator[Lack]:
        expected = None if kind is Kind.DIRECTORY or size == UNKNOWN else size
        if not self._has(raw, expected):
            yield Lack(Digest.from_raw(raw), "", kind, expected, self._has(raw, None))
        elif kind is Kind.DIRECTORY and depth <= DEEPEST:
            yield from self._below(raw, depth)

    def _below(self, raw: bytes, depth: int) -> tuple[Lack, ...]:
        known = self._inside.get(raw)
        if known is not None:
            return known
        counts: dict[Digest, int] = {}
        found: list[Lack] = []
        packed = self._packed
        for kind, size, member, name in self._rows(raw):
            length = int.from_bytes(size, "big")
            if kind != b"d" and packed.get(member) == length:
                continue
            if name in (b".", b"..") or b"/" in name:  # no path to look at for a copy: a hostile tree leads nowhere
                continue
            here = os.fsdecode(name)
            for lack in self._of(member, _KINDS[kind], length, depth + 1):
                counts[lack.digest] = counts.get(lack.digest, 0) + 1
                if counts[lack.digest] <= _MOST:
                    found.append(lack._replace(path=f"{here}/{lack.path}" if lack.path else here))
        self._inside[raw] = tuple(found)
        return self._inside[raw]

    def _rows(self, raw: bytes) -> list[tuple[bytes, bytes, bytes, bytes]]:
        """Read the rows of a folder; what is no tree, whatever named it one, lacks nothing."""
        try:
            data = self._objects.read(Digest.from_raw(raw))
        except DamagedError:
            return []
        rows = data[len(HEADER) :]
        return _ROW.findall(rows) if data.startswith(HEADER) and _ROWS.match(rows) else []

    def _has(self, raw: bytes, size: int | None) -> bool:
        if raw in self._lost:
            return False
        known = self._had.get((raw, size))
        if known is None:
            known = self._had[raw, size] = self._objects.has(Digest.from_raw(raw), size)
        return known


def _packed_sizes(objects: ObjectStore, lost: Set[bytes]) -> dict[bytes, int]:
    sizes: dict[bytes, int] = {}
    for pack in objects.packs():
        gone = pack.damaged() | lost
        with contextlib.suppress(FileNotFoundError, DamagedError):  # a collector was faster: each object is looked for
            sizes.update((raw, length) for raw, _, length in pack.entries() if raw not in gone)
    return sizes
