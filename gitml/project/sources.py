"""The sources of a project: where their pointers are, what Git is told to ignore for them, what changed in them."""

from __future__ import annotations

from collections.abc import Iterable

from gitml.engine.sources import Known, Sources
from gitml.git.ignore import update_exclude
from gitml.model.pipeline import Pipeline
from gitml.project.project import Project


def sources_of(project: Project) -> Sources:
    """Give the pointers of a project."""
    return Sources(project.root, project.machine)


def ignored_paths(pipeline: Pipeline, sources: Iterable[str]) -> set[str]:
    """Name what Git must not see: outputs that it does not hold, and sources, declared or recorded."""
    outputs = (output.path for step in pipeline.steps.values() for output in step.outputs if not output.git)
    return {*outputs, *pipeline.sources, *sources}


def update_ignored(project: Project, pipeline: Pipeline, known: Known, also: Iterable[str] = ()) -> None:
    """Let `info/exclude` name all outputs and sources, and `also` what is about to be one; `Sources.alone` is held."""
    paths = ignored_paths(pipeline, (*known.pointers, *also))
    update_exclude(project.repository, paths, project.prefix)


def refresh_ignored(project: Project, pipeline: Pipeline) -> Known:
    """Let `info/exclude` name all outputs and sources as they are declared and recorded now; gives the sources."""
    sources = sources_of(project)
    with sources.alone():
        known = sources.known()
        update_ignored(project, pipeline, known)
    return known
