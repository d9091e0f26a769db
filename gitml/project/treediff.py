"""Which files of a folder changed, found by comparing tree objects: equal subfolders are never opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from gitml.errors import DamagedError
from gitml.model.digest import Digest
from gitml.model.tree import Kind, TreeEntry

MOST = 1000
"""Changes that are listed; the rest is counted."""

Members = Callable[[Digest], Sequence[TreeEntry]]
"""Gives the entries of a folder; raises `DamagedError` where its tree object cannot be had."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PathChange:
    """One path, relative to the folder, and what became of it: `added`, `removed` or `changed`.

    A folder that was added or removed whole is one change. `size` is in bytes, as it is now (removed: as it was).
    """

    path: str
    change: str
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderChanges:
    """The first `MOST` changes in the order of names, and the number of all."""

    rows: tuple[PathChange, ...]
    total: int


def compare_folders(before: Digest, after: Digest, old: Members, new: Members) -> FolderChanges | None:
    """Compare two folders; None when a tree object that is needed is not there any more."""
    found = _walk(before, after, old, new)
    try:
        rows = tuple(islice(found, MOST))
        return FolderChanges(rows=rows, total=len(rows) + sum(1 for _ in found))
    except DamagedError:
        return None


def _walk(before: Digest, after: Digest, old: Members, new: Members) -> Iterator[PathChange]:
    waiting: list[tuple[str, Digest, Digest]] = [("", before, after)]
    while waiting:
        prefix, one, other = waiting.pop()
        was = {entry.name: entry for entry in old(one)}
        now = {entry.name: entry for entry in new(other)}
        below: list[tuple[str, Digest, Digest]] = []
        for name in sorted(was.keys() | now.keys()):
            path = prefix + name
            if name not in now:
                yield PathChange(path=path, change="removed", size=was[name].size)
            elif name not in was:
                yield PathChange(path=path, change="added", size=now[name].size)
            elif was[name].kind is now[name].kind is Kind.DIRECTORY:
                if was[name].digest != now[name].digest:
                    below.append((path + "/", was[name].digest, now[name].digest))
            elif (was[name].kind, was[name].digest) != (now[name].kind, now[name].digest):
                yield PathChange(path=path, change="changed", size=now[name].size)
        waiting.extend(reversed(below))
