"""`gitml du`: what fills the cache, by who names it and by age."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple
from urllib.parse import unquote

from gitml.hashing.meter import SILENT, Meter
from gitml.model.mention import Mentions
from gitml.project.gc import Share, gc
from gitml.project.project import Project
from gitml.project.roots import RepositoryRoots, repositories
from gitml.store.keep import Policy, run_files
from gitml.store.mark import Marker
from gitml.store.packset import PackSet
from gitml.store.usage import Amount, Present, files_below, loose_objects, packed_objects, packs

DAY = 86400.0
AGES = (("day", DAY), ("week", 7 * DAY), ("month", 30 * DAY), ("older", float("inf")))
"""Ages by name, each up to that many seconds."""
_LOCKS, _POINTERS = ".gitml/lock/", ".gitml/sources/"


class Owner(NamedTuple):
    """A step (all its instances apart) or a source, which names objects."""

    kind: str
    name: str


@dataclass(kw_only=True, slots=True)
class Part:
    """What one owner names and the cache has. `unique`: bytes of objects that no other owner names."""

    runs: int = 0
    objects: int = 0
    size: int = 0
    unique: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """What fills the cache. `unnamed`: objects that no run, lock or pointer names; `freeable`: what gc would free.

    `ages`: by name in `AGES`. `packs`: with their indexes; `packed`: the objects in them. `rescued` is of this
    worktree's project, outside the cache.
    """

    parts: Mapping[Owner, Part]
    unnamed: Amount
    ages: Mapping[str, Amount]
    loose: Amount
    packed: Amount
    packs: Amount
    quarantine: Amount
    temporary: Amount
    rescued: Amount
    freeable: Share = field(default_factory=Share)


def usage(project: Project, policy: Policy, meter: Meter = SILENT) -> Usage:
    """Measure the cache of a project; `policy`: of the collection that is foretold.

    Raises:
        GitmlError: A root cannot be read.
    """
    freeable = gc(project, policy, dry_run=True, meter=meter).total
    meter.phase("counting")
    root = project.store.objects.root
    owners, parts = _owners(project)
    counted = _Counted(owners, parts, policy.now)
    loose = counted.add(loose_objects(root))
    packed = counted.add(packed_objects(root))
    return Usage(
        parts=parts,
        unnamed=counted.unnamed,
        ages=counted.ages,
        loose=loose,
        packed=packed,
        packs=packs(root),
        quarantine=files_below(os.path.join(root, "quarantine")),
        temporary=files_below(os.path.join(root, "tmp")),
        rescued=files_below(os.path.join(project.machine, "rescued")),
        freeable=freeable,
    )


class _Counted:
    """Adds objects up, each where it belongs; one that is both loose and packed counts for its owners once."""

    def __init__(self, owners: Mapping[bytes, tuple[Owner, ...]], parts: Mapping[Owner, Part], now: float) -> None:
        self._owners = owners
        self._parts = parts
        self._now = now
        self._seen: set[bytes] = set()
        self.unnamed = Amount()
        self.ages = {name: Amount() for name, _ in AGES}

    def add(self, objects: Iterable[Present]) -> Amount:
        number = total = 0
        for raw, size, changed in objects:
            number, total = number + 1, total + size
            age = next(name for name, limit in AGES if self._now - changed < limit)
            self.ages[age] = _more(self.ages[age], size)
            if raw not in self._seen:
                self._seen.add(raw)
                self._give(raw, size)
        return Amount(number, total)

    def _give(self, raw: bytes, size: int) -> None:
        owners = self._owners.get(raw, ())
        if not owners:
            self.unnamed = _more(self.unnamed, size)
        for owner in owners:
            part = self._parts[owner]
            part.objects += 1
            part.size += size
            if len(owners) == 1:
                part.unique += size


def _more(amount: Amount, size: int) -> Amount:
    return Amount(amount.number + 1, amount.size + size)


def _owners(project: Project) -> tuple[dict[bytes, tuple[Owner, ...]], dict[Owner, Part]]:
    """Tell for each object who names it, by runs, locks and pointers."""
    root = project.store.objects.root
    parts: dict[Owner, Part] = {}
    named: dict[Owner, list[Mentions]] = {}
    for file in run_files(root):
        owner = Owner("step", file.step)
        parts.setdefault(owner, Part()).runs += 1
        named.setdefault(owner, []).append(file.mentions)
    for owner, mentions in _recorded(project):
        parts.setdefault(owner, Part())
        named.setdefault(owner, []).append(mentions)
    owners: dict[bytes, tuple[Owner, ...]] = {}
    packs = PackSet(root)
    for owner, every in named.items():
        marker = Marker(root, packs=packs, lenient=True)
        alone = (owner,)  # one tuple for all objects of the same owner
        for mentions in every:
            for raw in chain.from_iterable(marker.walk(mentions)):
                owners[raw] = (*owners[raw], owner) if raw in owners else alone
    return owners, parts


def _recorded(project: Project) -> Iterator[tuple[Owner, Mentions]]:
    for git in repositories(project):
        with RepositoryRoots(git) as found:
            for root in found.all(lambda oid: True):
                owner = _owner(root.path)
                if owner is not None:
                    yield owner, root.mentions


def _owner(path: str) -> Owner | None:
    """Read who is meant from the name of a lock (`<step>.json`, `<step>/<instance>.json`) or pointer."""
    for kind, folder in (("step", _LOCKS), ("source", _POINTERS)):
        before, found, name = path.partition(folder)
        if found and (not before or before.endswith("/")):
            parts = [unquote(part.partition("~")[0]) for part in name.removesuffix(".json").split("/")]
            return Owner(kind, "@".join(parts) if kind == "step" else "/".join(parts))
    return None
