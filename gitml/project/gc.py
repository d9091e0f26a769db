"""`gitml gc`: find what nothing needs, and delete it beside others who write to the cache."""

from __future__ import annotations

import contextlib
import os
import time
from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import NamedTuple

from gitml.git.command import Git
from gitml.git.roots import refs
from gitml.git.snapshot import REFS as SNAPSHOTS
from gitml.hashing.meter import SILENT, Meter
from gitml.model.digest import Digest
from gitml.model.tree import Entry
from gitml.project.project import Project
from gitml.project.roots import RepositoryRoots, Root, repositories
from gitml.store.gc import Garbage, Sweep, dead_packs, dead_shards
from gitml.store.keep import Policy, RunFile, kept, run_files, superseded
from gitml.store.leftovers import leftovers
from gitml.store.mark import Marker
from gitml.store.packset import PackSet
from gitml.store.registry import register, registered

UNNAMED = None
_BATCH_S = 0.1
_BATCH_AFTER_MARK_S = 1.0
_ROUNDS = 3
_PATIENCE_S = 600.0
_REFS_AT_ONCE = 200


@dataclass(kw_only=True, slots=True)
class Share:
    """What is, or was, to be deleted of one step; `size` in bytes."""

    runs: int = 0
    objects: int = 0
    size: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Collected:
    """What was deleted, or would be. `steps`: by step, and `UNNAMED` for objects that no run names.

    `leftovers`: temporary files. `snapshots`: commits that no kept run names. `kept`: runs that stay.
    """

    steps: Mapping[str | None, Share] = field(default_factory=dict)
    leftovers: Share = field(default_factory=Share)
    snapshots: int = 0
    kept: int = 0

    @property
    def total(self) -> Share:
        """All that was deleted of the cache."""
        every = [*self.steps.values(), self.leftovers]
        return Share(
            runs=sum(share.runs for share in every),
            objects=sum(share.objects for share in self.steps.values()),
            size=sum(share.size for share in every),
        )


class Plan(NamedTuple):
    """A mark and what follows from it. `owners`: by dead object, the step whose dropped run names it."""

    live: Set[bytes]
    dropped: Sequence[RunFile]
    kept: Sequence[RunFile]
    garbage: Garbage
    owners: Mapping[bytes, str]
    snapshots: Sequence[tuple[Git, tuple[str, ...]]]


def gc(project: Project, policy: Policy, *, dry_run: bool, meter: Meter = SILENT) -> Collected:
    """Delete what nothing needs from the project's cache, or tell what that would be.

    Raises:
        GitmlError: Something that may need data cannot be read (then nothing was deleted), or others go on writing.
        OSError: A file cannot be deleted; the next call goes on.
    """
    collector = _Collector(project, policy, meter)
    if dry_run:
        return collector.foretell()
    cache = project.store.objects.root
    if registered(cache) or cache != os.path.join(project.shared, "cache"):
        register(cache, project.repository.common_dir)
    return collector.collect()


class _Collector:
    def __init__(self, project: Project, policy: Policy, meter: Meter) -> None:
        self._project = project
        self._policy = policy
        self._meter = meter
        self._whole: dict[Digest, bool] = {}
        self._steps: dict[str | None, Share] = {}
        self._leftovers = Share()
        self._snapshots = 0

    def foretell(self) -> Collected:
        """Count what one mark finds."""
        plan = self._plan()
        garbage = plan.garbage
        self._count_records(plan, garbage.records)
        if plan.owners:
            self._count_objects(plan, garbage.objects())
        elif garbage.number:
            self._steps[UNNAMED] = Share(objects=garbage.number, size=garbage.size)
        self._count_leftovers(garbage.leftovers)
        self._snapshots = sum(len(oids) for _, oids in plan.snapshots)
        return self._result(plan)

    def collect(self) -> Collected:
        """Mark, delete while nobody has written since, and begin again when somebody has.

        After a few rounds the mark is made while writers wait, so that it comes to an end however busy they are.
        """
        lease = self._project.store.lease
        self._meter.phase("waiting for others to end writing")
        with lease.collecting(patience=_PATIENCE_S) as token:
            pass
        plan = self._plan()
        work = self._work(plan)
        rounds, finished = 0, False
        while not finished:
            budget = _BATCH_S
            with lease.collecting(patience=_PATIENCE_S) as now:
                is_stale = now != token
                token = now
                rounds += is_stale
                if is_stale and rounds > _ROUNDS:
                    work.close()
                    plan = self._plan()
                    work, is_stale, budget = self._work(plan), False, _BATCH_AFTER_MARK_S
                if not is_stale:
                    finished = _worked(work, budget)
            if is_stale:
                work.close()
                plan = self._plan()
                work = self._work(plan)
        return self._result(plan)

    def _work(self, plan: Plan) -> Generator[None, None, None]:
        """Do what a plan says, stopping often; what was done is counted also when it is not gone on with."""
        sweep = Sweep(self._project.store.objects, plan.garbage, plan.live, self._meter)
        self._meter.phase("deleting", files=plan.garbage.number, size=plan.garbage.size)
        try:
            yield from sweep.steps()
            for git, oids in plan.snapshots:
                for start in range(0, len(oids), _REFS_AT_ONCE):
                    yield
                    self._snapshots += _drop_snapshots(git, oids[start : start + _REFS_AT_ONCE])
        finally:
            self._count_records(plan, sweep.records)
            self._count_objects(plan, sweep.done)
            self._count_leftovers(sweep.leftovers)

    def _plan(self) -> Plan:
        self._meter.phase("marking")
        project = self._project
        root = project.store.objects.root
        packs = PackSet(root)
        marker = Marker(root, packs=packs)
        files = list(run_files(root))
        with contextlib.ExitStack() as stack:
            found = [stack.enter_context(RepositoryRoots(git, root)) for git in repositories(project)]
            keep = self._kept(files, found, marker)
            snapshots = [(one.git, self._dead_snapshots(one, keep)) for one in found]
        names = {file.path for file in keep}
        dropped = [file for file in files if file.path not in names]
        garbage = Garbage(
            records=tuple(file.path for file in dropped),
            shards=tuple(dead_shards(root, marker.reached)),
            packs=tuple(dead_packs(packs.packs(), marker.reached)),
            leftovers=tuple(leftovers(root, self._policy.now)),
        )
        owners = _owners(Marker(root, packs=packs, known=marker.reached, lenient=True), dropped)
        return Plan(marker.reached, dropped, keep, garbage, owners, snapshots)

    def _kept(self, files: list[RunFile], repositories: Sequence[RepositoryRoots], marker: Marker) -> list[RunFile]:
        """Choose the runs to keep and reach all that is needed.

        The snapshot of a kept run is a root, too. Its locks are those of the commit before: so it may keep a run more,
        but not the snapshot of that one, or each run would keep the one before it for ever.
        """
        named: set[str] = set()
        for one in repositories:
            self._reach(one.all(lambda oid: False), named, marker)
        young = kept(files, named, self._policy)
        wanted = {file.run.snapshot for file in young if file.run is not None and file.run.snapshot is not None}
        for one in repositories:
            self._reach(one.of_snapshots(wanted.intersection(one.snapshots())), named, marker)
        keep = kept(files, named, self._policy)
        self._whole.clear()
        cut = superseded(keep, self._is_whole)
        keep = [file for file in keep if file.path not in cut]
        for file in keep:
            marker.add(file.mentions)
        return keep

    def _reach(self, found: Iterable[Root], named: set[str], marker: Marker) -> None:
        for root in found:
            named |= root.digests
            marker.add(root.mentions)

    def _is_whole(self, outputs: Mapping[str, Entry]) -> bool:
        for path, entry in outputs.items():
            if entry.digest not in self._whole:
                self._whole[entry.digest] = self._project.store.holds({path: entry})
        return all(self._whole[entry.digest] for entry in outputs.values())

    def _dead_snapshots(self, repository: RepositoryRoots, keep: Sequence[RunFile]) -> tuple[str, ...]:
        """Name the snapshots that no kept run names and that are old; none while a step is executed from one."""
        if repository.is_busy:
            return ()
        needed = {file.run.snapshot for file in keep if file.run is not None}
        git = repository.git
        return tuple(
            oid
            for oid in repository.snapshots()
            if oid not in needed and not self._policy.is_young(_moment_of_ref(git, SNAPSHOTS + oid))
        )

    def _count_records(self, plan: Plan, paths: Sequence[str]) -> None:
        steps = {file.path: file.step for file in plan.dropped}
        for path in paths:
            self._share(steps[path]).runs += 1

    def _count_objects(self, plan: Plan, objects: Iterable[tuple[bytes, int]]) -> None:
        sizes: dict[str | None, list[int]] = defaultdict(list)
        for raw, size in objects:
            sizes[plan.owners.get(raw, UNNAMED)].append(size)
        for step, of_step in sizes.items():
            share = self._share(step)
            share.objects += len(of_step)
            share.size += sum(of_step)

    def _count_leftovers(self, left: Sequence[tuple[str, int]]) -> None:
        self._leftovers.objects += len(left)
        self._leftovers.size += sum(size for _, size in left)

    def _share(self, step: str | None) -> Share:
        return self._steps.setdefault(step, Share())

    def _result(self, plan: Plan) -> Collected:
        return Collected(steps=self._steps, leftovers=self._leftovers, snapshots=self._snapshots, kept=len(plan.kept))


def _owners(marker: Marker, dropped: Sequence[RunFile]) -> dict[bytes, str]:
    """Tell for dead objects which step's dropped run names them; the newest where several do."""
    owners: dict[bytes, str] = {}
    for file in sorted(dropped, key=lambda file: file.moment, reverse=True):
        for found in marker.walk(file.mentions):
            owners.update(dict.fromkeys(found, file.step))
    return owners


def _worked(work: Iterable[None], seconds: float) -> bool:
    """Go on with work for some time; tells whether it is finished."""
    end = time.monotonic() + seconds
    return all(time.monotonic() < end for _ in work)


def _drop_snapshots(git: Git, oids: Sequence[str]) -> int:
    there = {tip.oid for tip in refs(git, SNAPSHOTS)}  # another collector may have been here
    lines = [f"delete {SNAPSHOTS}{oid} {oid}\n" for oid in oids if oid in there]
    git.run("update-ref", "--stdin", input="".join(lines).encode())
    return len(lines)


def _moment_of_ref(git: Git, name: str) -> float:
    """Tell when a ref was written at the latest: the file it is in says so, also where that holds all packed refs."""
    for path in (name, "packed-refs", "reftable/tables.list"):
        with contextlib.suppress(FileNotFoundError):
            return os.stat(os.path.join(git.common_dir, path)).st_mtime
    return time.time()
