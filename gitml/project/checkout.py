"""Make the worktree match the locks and the pointers of sources."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from gitml.engine.recovery import new_run_id
from gitml.engine.workspace import Inflight, Rescued
from gitml.errors import DamagedError, GitmlError, UsageError
from gitml.model.tree import Entry, Kind
from gitml.project.project import Project
from gitml.project.repro import recover
from gitml.project.sources import refresh_ignored
from gitml.project.targets import Wanted, choose, targets_of
from gitml.store.checkout import members
from gitml.store.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What the user asked for: `words` as typed in `cwd`; `force`: rescue unsaved changes instead of refusing."""

    words: Sequence[str] = ()
    cwd: str
    force: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What became of one target. `problem`: why nothing was touched."""

    path: str
    changed: bool
    entry: Entry
    rescued: tuple[Rescued, ...] = ()
    problem: GitmlError | None = None


def checkout(project: Project, request: Request) -> list[Result]:
    """Put in place what is recorded and differs.

    Raises:
        UsageError: A word means nothing that is recorded.
    """
    pipeline = project.pipeline()
    world = project.world(pipeline, acting=False)
    known = refresh_ignored(project, pipeline)
    targets = targets_of(pipeline, world.locks, known.pointers.values())
    chosen = choose(pipeline, targets, project.root, os.path.realpath(request.cwd), request.words)
    with project.store.lease.writing():
        recover(world)
        return [_one(project, world.workspace, wanted, force=request.force) for wanted in chosen]


def _one(project: Project, workspace: object, wanted: Wanted, *, force: bool) -> Result:
    from gitml.engine.workspace import Workspace  # noqa: PLC0415

    assert isinstance(workspace, Workspace)
    path = wanted.inside
    entry = _inside(project.store, wanted)
    found = workspace.entry(path)
    if found is not None and (found.kind, found.digest) == (entry.kind, entry.digest):
        return Result(path=path, changed=False, entry=entry)
    if found is not None and not project.store.holds({path: found}) and not force:
        problem: GitmlError = UsageError(f"{path} has changes that the cache does not hold", hint="--force keeps them aside")
        return Result(path=path, changed=False, entry=entry, problem=problem)
    if not project.store.holds({path: entry}):
        problem = DamagedError(f"not all of {path} is in the cache", hint=wanted.target.remedy)
        return Result(path=path, changed=False, entry=entry, problem=problem)
    intent = Inflight(id=new_run_id(), step=wanted.target.step or "", outputs=(path,))
    inflight = workspace.set_aside(intent, {})
    try:
        workspace.restore({path: entry})
    except BaseException:
        workspace.roll_back(inflight)
        raise
    return Result(path=path, changed=True, entry=entry, rescued=tuple(workspace.commit(inflight)))


def _inside(store: Store, wanted: Wanted) -> Entry:
    """Find the entry at a path inside a target, reading only the trees on the way."""
    entry = wanted.target.entry
    rest = wanted.inside.removeprefix(wanted.target.path).strip("/")
    for name in rest.split("/") if rest else ():
        below = members(store.objects, entry.digest) if entry.kind is Kind.DIRECTORY else []
        member = next((member for member in below if member.name == name), None)
        if member is None:
            raise UsageError(f"{wanted.inside} is not in {wanted.target.path}")
        entry = Entry(member.kind, member.digest, member.size)
    return entry
