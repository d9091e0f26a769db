"""Find what a folder or file names that the store does not have, by the paths at which it is needed."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import NamedTuple

from gitml.errors import DamagedError
from gitml.model.digest import Digest
from gitml.model.tree import DEEPEST, Entry, Kind, TreeEntry
from gitml.store.checkout import members
from gitml.store.objects import ObjectStore

UNKNOWN = -1
"""A size that nobody wrote down."""
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

    `lost`: objects that count as absent though they are there. The answers hold for one picture of the
    store: make another to look again.
    """

    def __init__(self, objects: ObjectStore, lost: Set[Digest] = frozenset()) -> None:
        self._objects = objects
        self._lost = lost
        self._had: dict[tuple[Digest, int | None], bool] = {}
        self._inside: dict[Digest, tuple[Lack, ...]] = {}

    def of(self, entry: Entry) -> tuple[Lack, ...]:
        """Name all that an entry lacks; nothing is known of what lies below a folder that is lacking itself."""
        return tuple(self._of(entry.digest, entry.kind, entry.size, 0))

    def _of(self, digest: Digest, kind: Kind, size: int, depth: int) -> Iterator[Lack]:
        expected = None if kind is Kind.DIRECTORY or size == UNKNOWN else size
        if not self._has(digest, expected):
            present = digest not in self._lost and self._has(digest, None)
            yield Lack(digest, "", kind, expected, present)
        elif kind is Kind.DIRECTORY and depth <= DEEPEST:
            yield from self._below(digest, depth)

    def _below(self, digest: Digest, depth: int) -> tuple[Lack, ...]:
        known = self._inside.get(digest)
        if known is None:
            known = self._inside[digest] = tuple(self._limited(self._members(digest), depth))
        return known

    def _limited(self, entries: list[TreeEntry], depth: int) -> Iterator[Lack]:
        counts: dict[Digest, int] = {}
        for entry in entries:
            for lack in self._of(entry.digest, entry.kind, entry.size, depth + 1):
                counts[lack.digest] = counts.get(lack.digest, 0) + 1
                if counts[lack.digest] <= _MOST:
                    yield lack._replace(path=f"{entry.name}/{lack.path}" if lack.path else entry.name)

    def _members(self, digest: Digest) -> list[TreeEntry]:
        """Read a folder's entries; what is no tree, whatever named it one, lacks nothing."""
        try:
            return members(self._objects, digest)
        except DamagedError:
            return []

    def _has(self, digest: Digest, size: int | None) -> bool:
        if digest in self._lost:
            return False
        known = self._had.get((digest, size))
        if known is None:
            known = self._had[digest, size] = self._objects.has(digest, size)
        return known
