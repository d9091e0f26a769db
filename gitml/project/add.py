"""Record raw data as sources: what `gitml add` does, and what it refuses."""

from __future__ import annotations

import os
import stat
import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gitml.engine.sources import Known
from gitml.engine.world import Look, World
from gitml.errors import UsageError
from gitml.hashing.meter import Meter
from gitml.manifest.graph import fold
from gitml.model.path import PathError, check_path, parents
from gitml.model.source import Pointer
from gitml.model.tree import Entry
from gitml.project.paths import project_path
from gitml.project.preflight import check_owner, shared_with_source
from gitml.project.project import Project
from gitml.project.record import missing, store_source, write_pointers
from gitml.project.repro import recover
from gitml.project.sources import sources_of
from gitml.project.treediff import Changes
from gitml.project.trees import Trees
from gitml.store.link import linked_object

_TOGETHER_S = 1.0
"""Seconds for which sources are stored before their pointers are written."""


class Added(NamedTuple):
    """What became of one source.

    `state`: `added`, `recorded` (a new version) or `unchanged`. `inside`: the paths in it that were typed, none where
    the source itself was. `changes`: None for a new source and where they cannot be told. `url`: from where the version
    before had been downloaded, where this one is no longer that.
    """

    path: str
    state: str
    entry: Entry
    inside: tuple[str, ...] = ()
    changes: Changes | None = None
    url: str | None = None


class Typed(NamedTuple):
    """What the user typed: paths and globs, both relative to `cwd`."""

    cwd: str
    paths: Sequence[str] = ()
    globs: Sequence[str] = ()


def add(project: Project, typed: Typed, meter: Meter) -> list[Added]:
    """Record what was typed; all of it is looked at before the first is stored.

    A path inside a source records that source.

    Raises:
        UsageError: Something cannot be a source; nothing was written.
        ChangedWhileReadError: A file was written to meanwhile; its source, and such as were stored in the second
            before it, are recorded as they were before.
    """
    pipeline = project.pipeline()
    world = project.world(pipeline, acting=True)
    look = world.look()
    sources_of(project).settle()
    recover(world)
    targets = _targets(project, world, look, typed)
    trees = Trees(project, look)
    waiting = deque(targets)
    added = []
    while waiting:
        with project.store.lease.writing():
            pointers = _stored(world, waiting, meter)
            before = write_pointers(project, pipeline, pointers, also=targets)
        for new, old in zip(pointers, before, strict=True):
            added.append(_told(new.path, new.entry, old, tuple(targets[new.path]), trees))
    return added


def _stored(world: World, waiting: deque[str], meter: Meter) -> list[Pointer]:
    """Store the next sources, for a moment at least: to write one's pointer, all are read (10 ms for a thousand)."""
    end = time.monotonic() + _TOGETHER_S
    pointers: list[Pointer] = []
    while waiting and (not pointers or time.monotonic() < end):
        pointers.append(Pointer(path=waiting[0], entry=store_source(world.workspace, waiting[0], meter)))
        waiting.popleft()
    return pointers


def _told(path: str, entry: Entry, before: Pointer | None, inside: tuple[str, ...], trees: Trees) -> Added:
    if before is None:
        return Added(path, "added", entry, inside)
    if before.entry == entry:
        return Added(path, "unchanged", entry, inside, Changes(), before.url)
    return Added(path, "recorded", entry, inside, trees.count_stored(before.entry, entry), before.url)


def _targets(project: Project, world: World, look: Look, typed: Typed) -> dict[str, list[str]]:
    """Give the sources to record, each with the paths inside it that were typed."""
    known = sources_of(project).known()
    cwd = os.path.realpath(typed.cwd)
    paths = [project_path(project.root, cwd, one) for one in typed.paths]
    for pattern in typed.globs:
        paths.extend(_matches(project, look, known, cwd, pattern))
    targets: dict[str, list[str]] = {}
    for path in sorted(dict.fromkeys(paths)):
        source = known.owner(path) or next((one for one in parents(path) if one in targets), path)
        inside = targets.setdefault(source, [])
        if source != path:
            inside.append(path)
    for source, inside in targets.items():
        if inside and os.path.lexists(os.path.join(project.root, source)):
            for path in inside:
                _check_kind(project, path, may_be_gone=known.owner(path) is not None)
        if not inside or source not in known.pointers:
            _check(project, world, look, known, source)
    _check_each_other(list(targets))
    return targets


def _matches(project: Project, look: Look, known: Known, cwd: str, pattern: str) -> list[str]:
    """Name what a glob matches, but what somebody owns already and not as a source."""
    folder = os.path.relpath(cwd, project.root)
    try:
        whole = check_path(pattern if folder == "." else f"{folder}/{pattern}")
    except PathError as error:
        raise UsageError(f"{pattern}: {error}") from error
    found = list(look.view.expand(whole, {}))
    if not found:
        raise UsageError(f"nothing matches {pattern}", hint="quote the pattern: gitml add --glob 'data/*.csv'")
    return found


def _check(project: Project, world: World, look: Look, known: Known, path: str) -> None:
    """Refuse what cannot be a source.

    Raises:
        UsageError: It says why.
    """
    if path == ".":
        raise UsageError("the project itself cannot be a source", hint="name the folder that holds the data")
    if path in known.pointers and not os.path.lexists(os.path.join(project.root, path)):
        raise missing(path)
    _check_kind(project, path)
    check_owner(world.pipeline, look, known, path)


def _check_each_other(paths: Iterable[str]) -> None:
    seen: dict[str, str] = {}
    for path in paths:
        other = seen.setdefault(fold(path), path)
        if other != path:
            raise shared_with_source(path, other)


def _check_kind(project: Project, path: str, *, may_be_gone: bool = False) -> None:
    """Refuse what is neither a file nor a folder."""
    full = os.path.join(project.root, path)
    try:
        mode = os.lstat(full).st_mode
    except (FileNotFoundError, NotADirectoryError):
        if may_be_gone:
            return
        raise UsageError(f"{path} does not exist", hint="name a file or folder with raw data") from None
    if stat.S_ISLNK(mode) and not may_be_gone:
        if linked_object(project.store.objects.root, os.readlink(os.fsencode(full))) is None:
            raise UsageError(f"{path} is a symlink", hint="add what it leads to, or put the data in its place")
    elif not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
        raise UsageError(f"{path} is not a file or folder", hint="raw data is stored as files")
