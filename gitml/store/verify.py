"""Prove the cache whole: every object has the bytes that its name says, and nothing stands where it does not belong."""

from __future__ import annotations

import math
import os
import random
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gitml.hashing.meter import SILENT, Meter
from gitml.hashing.spread import spread, usable_cpus
from gitml.model.digest import PREFIX, Digest
from gitml.store.objects import ObjectStore
from gitml.store.rehash import Fault, Look, Shard, ShardWorker, examine, read_look

_FEW = 64
_SHARD = re.compile(r"[0-9a-f]{2}\Z")
_NAME = re.compile(r"[0-9a-f]{62}\Z")


class Finding(NamedTuple):
    """One thing that is wrong. `path`: relative to the cache. `digest`: the object that should stand there, if any."""

    fault: Fault
    path: str
    digest: Digest | None = None
    detail: str = ""


class Checked(NamedTuple):
    """What a look at the cache found: how many objects are right, and the bytes that were read.

    `leftovers`: what a kill left in `tmp/`, relative to the cache; gc removes it.
    """

    right: int
    size: int
    findings: tuple[Finding, ...]
    leftovers: tuple[str, ...]


class Sample(NamedTuple):
    """Which objects to look at: so many of them (`number`), or that `part` of all (0 to 1), chosen by `seed`."""

    number: int | None = None
    part: float = 1.0
    seed: int | str = 0

    def of(self, total: int) -> list[int]:
        """Choose among `total` things; gives ascending indices."""
        wanted = math.ceil(self.part * total) if self.number is None else self.number
        return sorted(random.Random(self.seed).sample(range(total), min(wanted, total)))


def check(objects: ObjectStore, *, sample: Sample | None = None, meter: Meter = SILENT) -> Checked:
    """Look at all objects, or at a sample; changes nothing.

    Objects that come and go meanwhile are no matter: what was listed and is gone is passed over.
    """
    folder = os.path.join(objects.root, "objects")
    shards, strays = _listing(folder)
    if sample is not None:
        shards = _chosen(shards, sample)
    total = sum(len(shard.members) for shard in shards)
    meter.phase("verifying", files=total)
    right, size, findings, large = _check_shards(folder, shards, meter, total)
    for shard, name in large:
        look = _examine(folder, shard, name)
        if look is not None:
            right, size = right + (look.fault is None), size + look.size
            findings.extend(_findings(shard, {name: look}))
            meter.advance(1, look.size)
    leftovers = tuple(f"tmp/{name}" for name in _names(os.path.join(objects.root, "tmp")))
    return Checked(right, size, tuple(sorted(findings + strays)), leftovers)


def still_wrong(objects: ObjectStore, digest: Digest) -> bool:
    """Look at a loose object once more, right before it is moved out of the way: it may have been replaced."""
    name = digest.hex
    look = _examine(os.path.join(objects.root, "objects"), name[:2], name[2:])
    return look is not None and look.fault is not None


def _check_shards(
    folder: str, shards: Sequence[Shard], meter: Meter, total: int
) -> tuple[int, int, list[Finding], list[tuple[str, str]]]:
    right = size = 0
    findings: list[Finding] = []
    large: list[tuple[str, str]] = []
    looks = {}
    for index, data in spread(shards, lambda: ShardWorker(folder), processes=usable_cpus() if total > _FEW else 1):
        if index >= 0:
            looks[index] = look = read_look(data)
            meter.advance(len(shards[index].members) - len(look.large), look.size)
    for index, look in looks.items():
        name = shards[index].name
        right, size = right + look.right, size + look.size
        findings.extend(_findings(name, look.wrong))
        large.extend((name, member) for member in look.large)
    return right, size, findings, large


def _findings(shard: str, wrong: dict[str, Look]) -> Iterator[Finding]:
    for name, look in wrong.items():
        if look.fault is not None:
            yield Finding(look.fault, f"objects/{shard}/{name}", Digest(PREFIX + shard + name), look.detail)


def _examine(folder: str, shard: str, name: str) -> Look | None:
    try:
        parent = os.open(os.path.join(folder, shard), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return examine(parent, name, shard + name)
    finally:
        os.close(parent)


def _listing(folder: str) -> tuple[list[Shard], list[Finding]]:
    """List all objects in a fixed order, and name what cannot be one."""
    shards: list[Shard] = []
    strays: list[Finding] = []
    for name in _names(folder):
        if not _SHARD.match(name) or not os.path.isdir(os.path.join(folder, name)):
            strays.append(Finding(Fault.STRAY, f"objects/{name}"))
            continue
        names = _names(os.path.join(folder, name))
        shards.append(Shard(name, [member for member in names if _NAME.match(member)]))
        strays.extend(Finding(Fault.STRAY, f"objects/{name}/{member}") for member in names if not _NAME.match(member))
    return shards, strays


def _chosen(shards: Sequence[Shard], sample: Sample) -> list[Shard]:
    flat = [(shard.name, member) for shard in shards for member in shard.members]
    chosen: dict[str, list[str]] = {}
    for index in sample.of(len(flat)):
        name, member = flat[index]
        chosen.setdefault(name, []).append(member)
    return [Shard(name, members) for name, members in chosen.items()]


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
