"""Record raw data as sources: store what stands at a path and write its pointer."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import NamedTuple

from gitml.engine.gitform import WorktreeGit
from gitml.engine.sinks import StoringSink
from gitml.engine.sources import Known
from gitml.engine.world import Look
from gitml.errors import UsageError
from gitml.hashing.meter import Meter
from gitml.hashing.tree import walk
from gitml.manifest.graph import fold
from gitml.model.path import is_within
from gitml.model.pipeline import Pipeline
from gitml.model.source import Pointer
from gitml.model.tree import Entry
from gitml.project.paths import project_path
from gitml.project.project import Project
from gitml.project.sources import sources_of, update_ignored


class Added(NamedTuple):
    """What became of one source.

    `before`: what its pointer named, None for a new one. `asked`: the paths inside it that were typed, none where the
    source itself was.
    """

    path: str
    entry: Entry
    before: Entry | None = None
    asked: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """Say `added`, `recorded` (a new version) or `unchanged`."""
        if self.before is None:
            return "added"
        return "unchanged" if self.before == self.entry else "recorded"


def add(project: Project, cwd: str, typed: Sequence[str], meter: Meter) -> list[Added]:
    """Record paths that were typed in `cwd`; all are looked at before the first is stored.

    Raises:
        UsageError: One of them cannot be a source; nothing was written.
        ChangedWhileReadError: A file was written to meanwhile; its source is recorded as it was before.
    """
    pipeline = project.pipeline()
    look = project.world(pipeline, acting=True).look()
    sources = sources_of(project)
    known = sources.known()
    targets: dict[str, list[str]] = {}
    for one in typed:
        path = project_path(project.root, os.path.realpath(cwd), one)
        owner = known.owner(path)
        source = path if owner is None else owner.path
        if owner is None or source == path:
            _check(project, look, pipeline, known, path)
        targets.setdefault(source, []).extend([] if source == path else [path])
    with project.store.lease.writing():
        return [_record(project, pipeline, look, path, tuple(inner), meter) for path, inner in targets.items()]


def _record(project: Project, pipeline: Pipeline, look: Look, path: str, asked: tuple[str, ...], meter: Meter) -> Added:
    sink = StoringSink(
        git=WorktreeGit(look.held, project.root),
        cache=project.cache,
        store=project.store,
        meter=meter,
        keep_junk=False,
    )
    entry = walk(project.root, path, sink)
    if entry is None:
        raise UsageError(f"{path} is gone", hint="gitml checkout brings it back, gitml rm stops tracking it")
    sources = sources_of(project)
    with sources.alone():
        known = sources.known()
        before = known.pointers.get(path)
        update_ignored(project, pipeline, known, also=(path,))
        if before is None or before.entry != entry:
            sources.write(Pointer(path=path, entry=entry))
    return Added(path, entry, None if before is None else before.entry, asked)


def _check(project: Project, look: Look, pipeline: Pipeline, known: Known, path: str) -> None:
    if path == ".":
        raise UsageError("the project itself cannot be a source", hint="name the folder that holds the data")
    try:
        mode = os.lstat(os.path.join(project.root, path)).st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{path} does not exist", hint="name a file or folder with raw data") from None
    if stat.S_ISLNK(mode):
        raise UsageError(f"{path} is a symlink", hint="add what it leads to, or put the data in its place")
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise UsageError(f"{path} is not a file or folder", hint="raw data is stored as files")
    if look.held.is_held(path) or look.held.is_dir(path):
        raise UsageError(f"{path} is tracked by Git, and each path has one owner", hint=f"git rm -r --cached {path}")
    for step in pipeline.steps.values():
        for output in step.outputs:
            one, other = fold(path), fold(output.path)
            if is_within(one, other) or is_within(other, one):
                raise UsageError(
                    f"{path} overlaps {output.path}, an output of step {step.id}", hint="each path has one owner"
                )
    for other in known.below(path):
        raise UsageError(f"{path} holds {other}, a source of its own", hint=f"gitml rm {other}")
