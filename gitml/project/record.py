"""Put versions of sources into the store and their pointers into the worktree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from shlex import quote
from typing import NamedTuple

from gitml.engine.sources import SourceState, compare
from gitml.engine.workspace import Workspace
from gitml.engine.world import Look, World
from gitml.errors import GitmlError, UsageError
from gitml.hashing.meter import Meter
from gitml.model.pipeline import Pipeline
from gitml.model.source import Pointer
from gitml.model.tree import Entry
from gitml.model.url import shown_url
from gitml.project.preflight import PreflightError
from gitml.project.project import Project
from gitml.project.sources import sources_of, update_ignored
from gitml.project.treediff import Changes
from gitml.project.trees import Trees

_SHOWN = 3


class Recorded(NamedTuple):
    """A source as it is recorded now. `before`: its pointer until then; `changes`: None where they cannot be told."""

    pointer: Pointer
    before: Pointer | None = None
    changes: Changes | None = None


def store_source(workspace: Workspace, path: str, meter: Meter) -> Entry:
    """Put what stands at a source's path into the store; the lease is held.

    Raises:
        UsageError: Nothing stands there any more, or a link in it leads outside the project.
        ChangedWhileReadError: A file was written to meanwhile.
    """
    entry = workspace.ingest_source(path, meter=meter)
    if entry is None:
        raise missing(path)
    return entry


def write_pointer(project: Project, pipeline: Pipeline, pointer: Pointer) -> Pointer | None:
    """Let Git ignore a source, then write its pointer; gives the one that was there. The lease is held."""
    return write_pointers(project, pipeline, [pointer])[0]


def write_pointers(
    project: Project, pipeline: Pipeline, pointers: Sequence[Pointer], *, also: Iterable[str] = ()
) -> list[Pointer | None]:
    """Let Git ignore sources, then write their pointers; gives those that were there. The lease is held.

    `also`: other paths that are about to be sources. All pointers of the project are read, once.
    """
    sources = sources_of(project)
    with sources.alone():
        known = sources.known()
        update_ignored(project, pipeline, known, also=(*(pointer.path for pointer in pointers), *also))
        before = [known.pointers.get(pointer.path) for pointer in pointers]
        for pointer, old in zip(pointers, before, strict=True):
            if pointer != old:
                sources.write(pointer)
    return before


def record_changes(
    project: Project, world: World, look: Look, pointers: Iterable[Pointer], meter: Meter
) -> Iterator[Recorded]:
    """Record what was added to sources and changed in them; all are looked at before the first is recorded.

    Raises:
        PreflightError: Files were deleted, a whole source is missing, or a downloaded one was edited: that is for the
            user to say.
    """
    trees = Trees(project, look)
    changed: list[Pointer] = []
    problems: list[GitmlError] = []
    for pointer in pointers:
        state, now = compare(pointer, look.view, {})
        if state is SourceState.CLEAN:
            continue
        problem = missing(pointer.path) if now is None else _refusal(pointer, trees.count_stored(pointer.entry, now))
        if problem is None:
            changed.append(pointer)
        else:
            problems.append(problem)
    if problems:
        raise PreflightError(tuple(problems))
    for pointer in changed:
        with project.store.lease.writing():
            yield _record(project, world, trees, pointer, meter)


def _record(project: Project, world: World, trees: Trees, pointer: Pointer, meter: Meter) -> Recorded:
    entry = store_source(world.workspace, pointer.path, meter)
    changes = trees.count_stored(pointer.entry, entry)
    problem = _refusal(pointer, changes)
    if problem is not None:
        raise problem
    fresh = Pointer(path=pointer.path, entry=entry)
    write_pointer(project, world.pipeline, fresh)
    return Recorded(fresh, pointer, changes)


def missing(path: str) -> UsageError:
    """Say that nothing stands at a source's path."""
    return UsageError(
        f"source {path} is missing",
        hint=f"gitml checkout {quote(path)} brings it back; gitml rm {quote(path)} stops tracking it",
    )


def _refusal(pointer: Pointer, changes: Changes | None) -> UsageError | None:
    """Say why a change may not be recorded without a word of the user's."""
    path = pointer.path
    hint = f"gitml add {quote(path)} records that; gitml checkout {quote(path)} brings back what was recorded"
    if pointer.url is not None:
        return UsageError(f"source {path} differs from what was downloaded from {shown_url(pointer.url)}", hint=hint)
    if changes is None:
        return UsageError(f"source {path} changed, and the record of what it held is not in the cache", hint=hint)
    if not changes.deleted:
        return None
    names = [f"{path}/{name}" if name else path for name in changes.first_deleted[:_SHOWN]]
    more = f" and {changes.deleted - len(names)} more" if changes.deleted > len(names) else ""
    return UsageError(f"source {path} lost {', '.join(names)}{more}", hint=hint)
