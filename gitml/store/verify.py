"""Prove the cache whole: every object has the bytes that its name says, and nothing stands where it does not belong."""

from __future__ import annotations

import contextlib
import math
import os
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from gitml.hashing.meter import SILENT, Meter
from gitml.hashing.spread import spread, usable_cpus
from gitml.model.digest import PREFIX, Digest
from gitml.store.objects import ObjectStore
from gitml.store.packfile import NAME as PACK
from gitml.store.packlook import PackLook, PackShare, PackWorker, count_objects, read_pack_look
from gitml.store.rehash import Fault, Look, Shard, ShardWorker, examine, read_look

_FEW = 64
_SHARD = re.compile(r"[0-9a-f]{2}\Z")
_NAME = re.compile(r"[0-9a-f]{62}\Z")
_QUARANTINED = re.compile(r"([0-9a-f]{64})(?:\.[0-9]+)?\Z")
_OF_PACK = re.compile(r"[0-9a-f]{64}\.(?:pack|damaged)\Z")


class Finding(NamedTuple):
    """One thing that is wrong. `path`: relative to the cache. `digest`: the object that should stand there, if any.

    `pack`: the name of the pack that it is about, or that the object lies in.
    """

    fault: Fault
    path: str
    digest: Digest | None = None
    detail: str = ""
    pack: str | None = None


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
    shards, packs, strays = _listing(objects.root)
    if sample is not None:
        shards, packs = _chosen(objects.root, shards, packs, sample)
    loose = sum(len(shard.members) for shard in shards)
    meter.phase("verifying", files=loose + len(packs))
    tally = _Tally(strays)
    # Large files come last: BLAKE3's threads, once they run, make a fork less safe.
    _check_packs(objects.root, packs, tally, meter)
    for shard, name in _check_shards(objects.root, shards, loose, tally, meter):
        look = _examine(objects.root, shard, name, meter)
        if look is not None:
            tally.add(look.fault is None, look.size, _findings(shard, {name: look}))
        meter.advance(1, 0)
    leftovers = tuple(f"tmp/{name}" for name in _names(os.path.join(objects.root, "tmp")))
    return Checked(tally.right, tally.size, tuple(sorted(tally.findings)), leftovers)


def put_aside(objects: ObjectStore, finding: Finding) -> str | None:
    """Quarantine what is still wrong at a second look; gives where its bytes are now. The lease is held by the caller.

    What cannot be read stays: it may be right. A pack without a sound index is moved away by whoever lists packs.
    """
    if finding.fault in (Fault.STRAY, Fault.UNREADABLE):
        return None
    if finding.pack is not None:
        return _put_aside_packed(objects, finding)
    digest = finding.digest
    if digest is None:
        return None
    look = _examine(objects.root, digest.hex[:2], digest.hex[2:])
    return objects.quarantine(digest).quarantined if look is not None and look.fault is not None else None


def was_put_aside(objects: ObjectStore) -> frozenset[Digest]:
    """Name the objects of which the quarantine has wrong bytes."""
    names = (_QUARANTINED.match(name) for name in _names(os.path.join(objects.root, "quarantine")))
    return frozenset(Digest(PREFIX + match[1]) for match in names if match)


def _put_aside_packed(objects: ObjectStore, finding: Finding) -> str | None:
    pack = next((pack for pack in objects.packs() if os.path.basename(pack.path) == finding.pack), None)
    if pack is None or finding.digest is None:
        kept = os.path.join(objects.root, "quarantine", finding.pack or "")
        return kept if pack is None and os.path.lexists(kept) else None
    error = objects.quarantine_packed(pack, finding.digest.raw)
    return None if error is None else error.quarantined


class _Tally:
    """What was found so far."""

    def __init__(self, findings: list[Finding]) -> None:
        self.right = self.size = 0
        self.findings = findings

    def add(self, right: int, size: int, findings: Iterable[Finding]) -> None:
        self.right += right
        self.size += size
        self.findings.extend(findings)


def _check_packs(root: str, packs: Sequence[PackShare], tally: _Tally, meter: Meter) -> None:
    looks = {}
    folder = os.path.join(root, "packs")
    with contextlib.closing(spread(packs, lambda: PackWorker(folder), processes=usable_cpus())) as answers:
        for index, data in answers:
            if index >= 0:
                looks[index] = look = read_pack_look(data)
                meter.advance(1, look.size)
    for index, look in looks.items():
        tally.add(look.right, look.size, _pack_findings(packs[index].name, look))


def _pack_findings(name: str, look: PackLook) -> Iterator[Finding]:
    path = f"packs/{name}"
    if look.whole is not None and not look.wrong:  # else the objects say it better
        yield Finding(look.whole.fault or Fault.BYTES, path, None, look.whole.detail, name)
    for digest, one in look.wrong.items():
        yield Finding(one.fault or Fault.BYTES, path, Digest(PREFIX + digest), one.detail, name)


def _check_shards(root: str, shards: Sequence[Shard], count: int, tally: _Tally, meter: Meter) -> list[tuple[str, str]]:
    """Look at loose objects; names the large ones, which are left to the caller."""
    large: list[tuple[str, str]] = []
    looks = {}
    folder = os.path.join(root, "objects")
    processes = usable_cpus() if count > _FEW else 1
    with contextlib.closing(spread(shards, lambda: ShardWorker(folder), processes=processes)) as answers:
        for index, data in answers:
            if index >= 0:
                looks[index] = look = read_look(data)
                meter.advance(len(shards[index].members) - len(look.large), look.size)
    for index, look in looks.items():
        name = shards[index].name
        tally.add(look.right, look.size, _findings(name, look.wrong))
        large.extend((name, member) for member in look.large)
    return large


def _findings(shard: str, wrong: dict[str, Look]) -> Iterator[Finding]:
    for name, look in wrong.items():
        if look.fault is not None:
            yield Finding(look.fault, f"objects/{shard}/{name}", Digest(PREFIX + shard + name), look.detail)


def _examine(root: str, shard: str, name: str, meter: Meter = SILENT) -> Look | None:
    try:
        parent = os.open(os.path.join(root, "objects", shard), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return examine(parent, name, shard + name, meter=meter)
    finally:
        os.close(parent)


def _listing(root: str) -> tuple[list[Shard], list[PackShare], list[Finding]]:
    """List all objects and packs in a fixed order, and name what cannot be one."""
    shards: list[Shard] = []
    strays: list[Finding] = []
    folder = os.path.join(root, "objects")
    for name in _names(folder):
        if not _SHARD.match(name) or not os.path.isdir(os.path.join(folder, name)):
            strays.append(Finding(Fault.STRAY, f"objects/{name}"))
            continue
        names = _names(os.path.join(folder, name))
        shards.append(Shard(name, [member for member in names if _NAME.match(member)]))
        strays.extend(Finding(Fault.STRAY, f"objects/{name}/{member}") for member in names if not _NAME.match(member))
    files = _names(os.path.join(root, "packs"))
    strays.extend(Finding(Fault.STRAY, f"packs/{name}") for name in files if not _OF_PACK.match(name))
    return shards, [PackShare(name) for name in files if PACK.match(name)], strays


def _chosen(
    root: str, shards: Sequence[Shard], packs: Sequence[PackShare], sample: Sample
) -> tuple[list[Shard], list[PackShare]]:
    """Choose among all objects, in files and in packs."""
    flat: list[tuple[str, str | int]] = [(shard.name, member) for shard in shards for member in shard.members]
    for pack in packs:
        flat.extend((pack.name, number) for number in range(count_objects(os.path.join(root, "packs", pack.name))))
    members: dict[str, list[str]] = {}
    rows: dict[str, list[int]] = {}
    for index in sample.of(len(flat)):
        holder, one = flat[index]
        if isinstance(one, int):
            rows.setdefault(holder, []).append(one)
        else:
            members.setdefault(holder, []).append(one)
    return [Shard(*chosen) for chosen in members.items()], [PackShare(*chosen) for chosen in rows.items()]


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
