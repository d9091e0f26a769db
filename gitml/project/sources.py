"""The sources of a project: where their pointers are, what Git is told to ignore for them, what changed in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from gitml.engine.judge import Judge, Judgement
from gitml.engine.sources import Known, Sources, SourceState, compare
from gitml.engine.witness import Witness
from gitml.git.ignore import update_exclude
from gitml.model.glob import compile_glob, compile_holder, literal_prefix
from gitml.model.path import is_glob, is_within, parents
from gitml.model.pipeline import Pipeline
from gitml.model.source import Pointer
from gitml.model.step import Step
from gitml.model.tree import Entry, Kind
from gitml.project.project import Project
from gitml.project.treediff import Changes
from gitml.project.trees import Trees


class Standing(NamedTuple):
    """How a source stands. `now`: what is there; `changes`: None where they are not asked for or cannot be told."""

    pointer: Pointer
    state: SourceState
    now: Entry | None = None
    changes: Changes | None = None


def sources_of(project: Project) -> Sources:
    """Give the pointers of a project."""
    return Sources(project.root, project.machine)


def ignored_paths(pipeline: Pipeline, sources: Iterable[str]) -> set[str]:
    """Name what Git must not see: outputs that it does not hold, and sources, declared or recorded."""
    outputs = (output.path for step in pipeline.steps.values() for output in step.outputs if not output.git)
    return {*outputs, *pipeline.sources, *sources}


def update_ignored(project: Project, pipeline: Pipeline, known: Known, also: Iterable[str] = ()) -> None:
    """Let `info/exclude` name all outputs and sources, and `also` what is about to be one; `Sources.alone` is held.

    Raises:
        ConflictedPointerError: A merge left a pointer undecided, and it is of none of `also`.
    """
    also = tuple(also)
    known.refuse_conflicts(also)
    update_exclude(project.repository, ignored_paths(pipeline, (*known.pointers, *also)), project.prefix)


def refresh_ignored(project: Project, pipeline: Pipeline) -> Known:
    """Let `info/exclude` name all outputs and sources as they are declared and recorded now; gives the sources."""
    sources = sources_of(project)
    with sources.alone():
        known = sources.known()
        update_ignored(project, pipeline, known)
    return known


def survey_sources(
    project: Project, judge: Judge, known: Known, found: Mapping[str, Judgement], witness: Witness
) -> Iterator[Standing]:
    """Compare all sources with their pointers; what steps have looked at already is not looked at again."""
    trees = Trees(project, judge.look)
    read = {name: part for judgement in found.values() for name, part in judgement.facts.recipe.parts.items()}
    for pointer in known.pointers.values():
        recorded = {"mode": pointer.entry.kind.value, "digest": str(pointer.entry.digest)}
        if read.get("input:" + pointer.path) == recorded:
            yield Standing(pointer, SourceState.CLEAN, pointer.entry)
            continue
        state, now = compare(pointer, judge.look.view, witness)
        changed = state is SourceState.CHANGED and now is not None
        yield Standing(pointer, state, now, trees.count(pointer.path, pointer.entry, now) if changed and now else None)


def sources_read(pipeline: Pipeline, wanted: Iterable[str], known: Known) -> list[Pointer]:
    """Pick the sources that the wanted steps read: inputs that they are, hold, match or lie in."""
    declared = {path for step_id in wanted for path in pipeline.steps[step_id].inputs}
    reads = [_reader(path) for path in declared]
    return [pointer for pointer in known.pointers.values() if any(read(pointer) for read in reads)]


def readers(pipeline: Pipeline, pointer: Pointer) -> list[Step]:
    """Name the steps that read a source."""
    return [s for s in pipeline.steps.values() if any(_reader(path)(pointer) for path in s.inputs)]


def _reader(declared: str) -> Callable[[Pointer], bool]:
    """Make the predicate of sources that a declared input may touch."""
    if not is_glob(declared):
        return lambda pointer: is_within(pointer.path, declared) or is_within(declared, pointer.path)
    matches, holds = compile_glob(declared), compile_holder(declared)
    prefix = literal_prefix(declared)

    def read(pointer: Pointer) -> bool:
        if any(matches(path) for path in (pointer.path, *parents(pointer.path))):
            return True
        return pointer.entry.kind is Kind.DIRECTORY and (holds(pointer.path) or is_within(prefix, pointer.path))

    return read
