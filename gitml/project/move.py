"""Rename a source: its data and its pointer."""

from __future__ import annotations

import errno
import os
from shlex import quote
from typing import NamedTuple

from gitml.engine.sources import Known
from gitml.errors import UsageError
from gitml.model.path import is_within
from gitml.model.pipeline import Pipeline
from gitml.model.source import Pointer
from gitml.project.paths import project_path
from gitml.project.preflight import check_owner
from gitml.project.project import Project
from gitml.project.record import missing
from gitml.project.repro import recover
from gitml.project.sources import readers, sources_of, update_ignored


class Moved(NamedTuple):
    """A source that has another path now. `readers`: ids of the steps whose inputs name or match the old one."""

    old: str
    new: str
    readers: tuple[str, ...]


def move(project: Project, cwd: str, typed: str, to: str) -> Moved:
    """Rename a source; into a folder, where `to` is one. Both are as they were typed in `cwd`.

    Raises:
        UsageError: It is no source, or the new path is taken or outside; nothing was changed.
    """
    pipeline = project.pipeline()
    world = project.world(pipeline, acting=False)
    sources = sources_of(project)
    sources.settle()
    recover(world)
    known = sources.known()
    cwd = os.path.realpath(cwd)
    pointer = source_at(known, project_path(project.root, cwd, typed))
    new = _target(project, pointer.path, project_path(project.root, cwd, to))
    if pointer.path in pipeline.sources:
        hint = f'rename [source."{pointer.path}"] there first'
        raise UsageError(f"{pipeline.files[0]} declares from where {pointer.path} is downloaded", hint=hint)
    check_owner(pipeline, world.look(), known, new, leaving=pointer.path)
    with project.store.lease.writing(), sources.alone():
        _move(project, pipeline, pointer, new)
    return Moved(pointer.path, new, tuple(step.id for step in readers(pipeline, pointer)))


def source_at(known: Known, path: str) -> Pointer:
    """Give the source at a path.

    Raises:
        UsageError: There is none; a merge left its pointer undecided; or the path only lies in one.
    """
    known.refuse_conflicts()
    if path in known.pointers:
        return known.pointers[path]
    owner = known.owner(path)
    if owner is not None:
        raise UsageError(
            f"{path} is not a source of its own: it lies inside {owner}",
            hint=f"change it with rm or mv, then gitml add {quote(owner)}",
        )
    below = known.below(path)
    hint = f"sources in it: {', '.join(below[:5])}" if below else "gitml status --json lists the sources"
    raise UsageError(f"{path} is not a source", hint=hint)


def _target(project: Project, old: str, to: str) -> str:
    full = os.path.join(project.root, to)
    if os.path.isdir(full) and not os.path.islink(full):
        to = old.rpartition("/")[2] if to == "." else f"{to}/{old.rpartition('/')[2]}"
    if to == old:
        raise UsageError(f"{old} is there already")
    if is_within(to, old):
        raise UsageError(f"{old} cannot be moved into itself", hint="choose a path outside of it")
    if os.path.lexists(os.path.join(project.root, to)):
        raise UsageError(f"{to} exists, and nothing is overwritten", hint="choose another path, or move it away")
    if not os.path.lexists(os.path.join(project.root, old)):
        raise missing(old)
    return to


def _move(project: Project, pipeline: Pipeline, pointer: Pointer, new: str) -> None:
    sources = sources_of(project)
    known = sources.known()
    if known.pointers.get(pointer.path) != pointer or new in known.pointers:
        raise UsageError(f"another gitml changed {pointer.path} or {new} at the same time", hint="try again")
    update_ignored(project, pipeline, known, also=(new,))
    try:
        sources.move(pointer, new)
    except FileExistsError as error:
        raise UsageError(f"{new} exists, and nothing is overwritten", hint="choose another path") from error
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        hint = f"copy it there with cp -a, then gitml add {quote(new)} and gitml rm --delete {quote(pointer.path)}"
        raise UsageError(f"{new} lies on another file system than {pointer.path}", hint=hint) from error
    finally:
        update_ignored(project, pipeline, sources.known())
