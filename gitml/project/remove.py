"""Stop tracking sources, and delete their data if that is asked for and the store has all of it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from shlex import quote
from typing import NamedTuple

from gitml.engine.recovery import new_run_id
from gitml.engine.sources import SourceState, compare
from gitml.engine.workspace import Inflight, Rescued
from gitml.engine.world import Look, World
from gitml.errors import GitmlError, UsageError
from gitml.model.source import Pointer
from gitml.model.tree import Entry
from gitml.project.move import source_at
from gitml.project.paths import project_path
from gitml.project.project import Project
from gitml.project.repro import recover
from gitml.project.sources import readers, sources_of, update_ignored
from gitml.project.trees import Trees
from gitml.store.beneath import parent_of
from gitml.store.link import linked_object
from gitml.store.place import place_file


class Removed(NamedTuple):
    """A source that is none any more.

    `deleted`: its data is gone from the worktree. `rescued`: what was not in the store, and where it is kept.
    `readers`: ids of the steps that read it.
    """

    path: str
    deleted: bool
    rescued: tuple[Rescued, ...]
    readers: tuple[str, ...]


class Removal(NamedTuple):
    """What the user typed in `cwd`. `delete`: the data as well; `force`: also where the store has not all of it."""

    cwd: str
    paths: Sequence[str]
    delete: bool = False
    force: bool = False


def remove(project: Project, removal: Removal) -> list[Removed]:
    """Remove pointers, and let Git see the paths again; all are looked at before the first is removed.

    Raises:
        UsageError: One is no source, or is to be deleted and has unsaved changes; nothing was changed.
    """
    pipeline = project.pipeline()
    world = project.world(pipeline, acting=False)
    look = world.look()
    sources_of(project).settle()
    recover(world)
    known = sources_of(project).known()
    cwd = os.path.realpath(removal.cwd)
    typed = dict.fromkeys(project_path(project.root, cwd, one) for one in removal.paths)
    pointers = [source_at(known, path) for path in typed]
    with project.store.lease.writing():
        saved = {p.path: _is_saved(project, look, p) for p in pointers} if removal.delete else {}
        unsaved = [path for path, is_saved in saved.items() if not is_saved]
        if unsaved and not removal.force:
            hint = f"gitml add {quote(unsaved[0])} saves them; --force deletes it, and keeps a copy aside"
            raise UsageError(f"{unsaved[0]} has changes that the cache does not hold", hint=hint)
        return [_remove(project, world, pointer, saved.get(pointer.path)) for pointer in pointers]


def _remove(project: Project, world: World, pointer: Pointer, is_saved: bool | None) -> Removed:
    """Remove one source; `is_saved` is None where its data stays.

    The data goes first: as long as any of it stands there, the pointer names it and Git ignores it.
    """
    rescued: tuple[Rescued, ...] = ()
    if is_saved is not None:
        with _claimed(world, pointer.path):
            rescued = _delete(world, pointer.path, is_saved=is_saved)
    else:
        _detach(project, pointer.path)
    sources = sources_of(project)
    with sources.alone():
        sources.remove(pointer.path)
        update_ignored(project, world.pipeline, sources.known())
    ids = tuple(step.id for step in readers(world.pipeline, pointer))
    return Removed(pointer.path, is_saved is not None, rescued, ids)


def _is_saved(project: Project, look: Look, pointer: Pointer) -> bool:
    """Tell whether the store has all that stands at a source; files that were deleted are not missed."""
    state, now = compare(pointer, look.view, {})
    if now is None:
        return True
    if not project.store.holds({pointer.path: pointer.entry}):
        return False
    if state is SourceState.CLEAN:
        return True
    changes = Trees(project, look).count(pointer.path, pointer.entry, now)
    return changes is not None and not (changes.added or changes.changed)


def _detach(project: Project, path: str) -> None:
    """Replace links into the cache by copies: once no pointer names their objects, a collector deletes those."""
    objects = project.store.objects
    found = [path]
    for folder, _, names in os.walk(os.path.join(project.root, path)):
        found += [os.path.relpath(os.path.join(folder, name), project.root) for name in names]
    for one in found:
        full = os.path.join(project.root, one)
        digest = linked_object(objects.root, os.readlink(os.fsencode(full))) if os.path.islink(full) else None
        if digest is not None:
            with parent_of(project.root, one) as (parent, name):
                copy = os.fsencode(f".gitml-{new_run_id()}")
                place_file(objects, (), digest, parent, copy, executable=False)
                os.rename(copy, name, src_dir_fd=parent, dst_dir_fd=parent)


def _delete(world: World, path: str, *, is_saved: bool) -> tuple[Rescued, ...]:
    """Delete by way of a rename that is written down: a kill brings the data back or leaves it gone."""
    found = world.workspace.entry(path)
    proven: dict[str, Entry] = {path: found} if is_saved and found is not None else {}
    inflight = world.workspace.set_aside(Inflight(id=new_run_id(), step="", outputs=(path,)), proven)
    return tuple(world.workspace.commit(inflight))


@contextlib.contextmanager
def _claimed(world: World, path: str) -> Iterator[None]:
    """Keep others from taking what is set aside for something that a dead process left."""
    claim = world.paths.attempt(f"{world.root}\0{path}")
    if claim is None:
        raise GitmlError(f"another gitml works on {path}", hint="wait for it to end, then try again")
    try:
        yield
    finally:
        claim.abandon()
