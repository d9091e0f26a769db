"""Which files of a folder changed, found by comparing tree objects: equal subfolders are never opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Union

from gitml.errors import DamagedError
from gitml.model.digest import Digest
from gitml.model.tree import Entry, Kind, TreeEntry

MOST = 1000
"""Changes that are listed; the rest is counted."""
_NAMED = 10
_Pair = tuple[str, Union[Entry, TreeEntry, None], Union[Entry, TreeEntry, None]]
"""A path with what stood there and what stands there now."""

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """How many files differ between two versions of what stands at a path, and the first of them in each way.

    Paths are relative to the folder; "" is the path itself. A folder without files that came or went counts as one.
    """

    added: int = 0
    changed: int = 0
    deleted: int = 0
    first_added: tuple[str, ...] = ()
    first_changed: tuple[str, ...] = ()
    first_deleted: tuple[str, ...] = ()


def compare_folders(before: Digest, after: Digest, old: Members, new: Members) -> FolderChanges | None:
    """Compare two folders; None when a tree object that is needed is not there any more."""
    found = _walk(before, after, old, new)
    try:
        rows = tuple(islice(found, MOST))
        return FolderChanges(rows=rows, total=len(rows) + sum(1 for _ in found))
    except DamagedError:
        return None


def count_changes(before: Entry, after: Entry, old: Members, new: Members) -> Changes | None:
    """Count what differs, file by file; None when a tree object that is needed is not there any more."""
    try:
        return _count(_files(before, after, old, new))
    except DamagedError:
        return None


def _walk(before: Digest, after: Digest, old: Members, new: Members) -> Iterator[PathChange]:
    for path, was, now in _pairs(before, after, old, new):
        if now is None:
            yield PathChange(path=path, change="removed", size=0 if was is None else was.size)
        else:
            yield PathChange(path=path, change="added" if was is None else "changed", size=now.size)


def _pairs(before: Digest, after: Digest, old: Members, new: Members) -> Iterator[_Pair]:
    """Give what differs; a folder that came or went whole is one pair, and equal folders are never opened."""
    waiting: list[tuple[str, Digest, Digest]] = [("", before, after)]
    while waiting:
        prefix, one, other = waiting.pop()
        was = {entry.name: entry for entry in old(one)}
        now = {entry.name: entry for entry in new(other)}
        below: list[tuple[str, Digest, Digest]] = []
        for name in sorted(was.keys() | now.keys()):
            here, there = was.get(name), now.get(name)
            if here is not None and there is not None and here.kind is there.kind is Kind.DIRECTORY:
                if here.digest != there.digest:
                    below.append((f"{prefix}{name}/", here.digest, there.digest))
            elif here is None or there is None or (here.kind, here.digest) != (there.kind, there.digest):
                yield prefix + name, here, there
        waiting.extend(reversed(below))


def _files(before: Entry, after: Entry, old: Members, new: Members) -> Iterator[tuple[str, str]]:
    """Give each file that differs with what became of it; a folder in the place of a file is both."""
    if before.kind is after.kind is Kind.DIRECTORY:
        pairs = _pairs(before.digest, after.digest, old, new)
    else:
        pairs = iter([] if before[:2] == after[:2] else [("", before, after)])
    for path, was, now in pairs:
        if was is not None and now is not None and Kind.DIRECTORY not in (was.kind, now.kind):
            yield path, "changed"
            continue
        for entry, read, change in ((was, old, "deleted"), (now, new, "added")):
            if entry is not None:
                yield from ((below, change) for below in _below(path, entry, read))


def _below(path: str, entry: Entry | TreeEntry, members: Members) -> Iterator[str]:
    """Name the files that an entry stands for."""
    waiting = [(path, entry)]
    while waiting:
        here, one = waiting.pop()
        inside = members(one.digest) if one.kind is Kind.DIRECTORY else ()
        waiting.extend((f"{here}/{member.name}" if here else member.name, member) for member in reversed(inside))
        if not inside:
            yield here


def _count(files: Iterator[tuple[str, str]]) -> Changes:
    counts = {"added": 0, "changed": 0, "deleted": 0}
    first: dict[str, list[str]] = {change: [] for change in counts}
    for path, change in files:
        counts[change] += 1
        if counts[change] <= _NAMED:
            first[change].append(path)
    return Changes(
        added=counts["added"],
        changed=counts["changed"],
        deleted=counts["deleted"],
        first_added=tuple(first["added"]),
        first_changed=tuple(first["changed"]),
        first_deleted=tuple(first["deleted"]),
    )
