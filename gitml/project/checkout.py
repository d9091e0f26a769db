"""Make the worktree match the locks and the pointers of sources."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from gitml.engine.checkout import Bringing, Brought, Checkout, LackingError
from gitml.engine.recovery import new_run_id
from gitml.engine.workspace import Workspace
from gitml.engine.world import World
from gitml.errors import GitmlError, UsageError
from gitml.hashing.meter import Meter
from gitml.model.pipeline import Pipeline
from gitml.model.tree import Entry, Kind
from gitml.project.fetch import fetch_recorded
from gitml.project.project import Project
from gitml.project.repro import recover
from gitml.project.sources import refresh_ignored
from gitml.project.targets import Wanted, choose, targets_of
from gitml.store.build import Building
from gitml.store.checkout import members
from gitml.store.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What the user asked for: `words` as typed in `cwd`.

    `force`: put unsaved changes aside instead of refusing. `relink`: also write again, by the kind of link that is
    configured, what is as it should be.
    """

    words: Sequence[str] = ()
    cwd: str
    force: bool = False
    relink: bool = False


_NOTHING = Brought()
_PATIENCE_S = 10.0
_POLL_S = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What became of one target. `problem`: why nothing, or not all, was done."""

    path: str
    entry: Entry | None
    done: Brought = _NOTHING
    relinked: int = 0
    problem: GitmlError | None = None


def checkout(project: Project, request: Request, meter: Meter) -> list[Result]:
    """Put in place what is recorded and differs; where that cannot be for one target, the others are still done.

    Raises:
        UsageError: A word means nothing that is recorded.
    """
    pipeline = project.pipeline()
    world = project.world(pipeline, acting=False)
    known = refresh_ignored(project, pipeline)
    targets = targets_of(pipeline, world.locks, known.pointers.values())
    chosen = choose(pipeline, targets, project.root, os.path.realpath(request.cwd), request.words)
    recover(world)
    run = _Run(project, pipeline, world, request, meter)
    return [run.one(wanted) for wanted in chosen]


class _Run:
    def __init__(self, project: Project, pipeline: Pipeline, world: World, request: Request, meter: Meter) -> None:
        self._project = project
        self._pipeline = pipeline
        self._world = world
        self._request = request
        self._meter = meter
        self._id = new_run_id()

    def one(self, wanted: Wanted) -> Result:
        entry: Entry | None = None
        try:
            with self._claimed(wanted):
                with self._project.store.lease.writing():
                    entry = _inside(self._project.store, wanted)
                return self._bring(wanted, entry)
        except GitmlError as error:
            return Result(path=wanted.inside, entry=entry, problem=error)

    def _bring(self, wanted: Wanted, entry: Entry) -> Result:
        try:
            with self._project.store.lease.writing():
                return self._brought(wanted, entry)
        except LackingError:
            pointer = wanted.target.pointer
            if pointer is None or pointer.url is None:
                raise
            if not fetch_recorded(self._project, self._pipeline, pointer, self._meter):
                raise
        with self._project.store.lease.writing():
            return self._brought(wanted, entry)

    def _brought(self, wanted: Wanted, entry: Entry) -> Result:
        done = self._checkout(wanted).bring(wanted.inside, entry)
        relinked = self._checkout(wanted).relink(wanted.inside, entry).written if self._request.relink else 0
        return Result(path=wanted.inside, entry=entry, done=done, relinked=relinked)

    def _checkout(self, wanted: Wanted) -> Checkout:
        project, workspace = self._project, self._world.workspace
        bringing = Bringing(
            folders=project.cache.folders,
            building=Building(project.store.objects, project.store.links, self._meter),
            machine=project.machine,
            entry=workspace.entry,
            aside=lambda path: _free(workspace, self._id, path),
            force=self._request.force,
            with_junk=wanted.target.step is not None,
        )
        return Checkout(bringing, remedy=wanted.target.remedy)

    @contextmanager
    def _claimed(self, wanted: Wanted) -> Iterator[None]:
        """Hold the claim of the target, so that no step that writes it, and no other checkout, is at it.

        Another checkout is waited for; a step may take for ever.
        """
        name, end = f"{self._world.root}\0{wanted.target.path}", time.monotonic() + _PATIENCE_S
        while (claim := self._world.paths.attempt(name)) is None:
            if time.monotonic() > end:
                hint = "wait for it to end"
                raise GitmlError(f"{wanted.target.path} is being worked on by another process", hint=hint)
            time.sleep(_POLL_S)
        try:
            yield
        finally:
            claim.abandon()  # its text may name an execution that died, which the next holder cleans up after


def _free(workspace: Workspace, run_id: str, path: str) -> str:
    target = workspace.rescue_place(run_id, path)
    number = 0
    while os.path.lexists(target):
        number += 1
        target = workspace.rescue_place(run_id, f"{path}.{number}")
    return target


def _inside(store: Store, wanted: Wanted) -> Entry:
    """Find the entry at a path inside a target, reading only the trees on the way."""
    entry = wanted.target.entry
    rest = wanted.inside.removeprefix(wanted.target.path).strip("/")
    for name in rest.split("/") if rest else ():
        below = members(store.objects, entry.digest) if entry.kind is Kind.DIRECTORY else []
        member = next((member for member in below if member.name == name), None)
        if member is None:
            raise UsageError(f"{wanted.inside} is not in {wanted.target.path}", hint="gitml status lists what there is")
        entry = Entry(member.kind, member.digest, member.size)
    return entry
