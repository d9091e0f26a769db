"""Bring declared sources up to date with where they are published."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gitml.engine.sources import Known
from gitml.errors import GitmlError, InterruptedRunError, UsageError
from gitml.hashing.meter import Meter
from gitml.model.path import is_within
from gitml.model.pipeline import Pipeline
from gitml.model.source import SourceDeclaration
from gitml.project.fetch import Fetched, Fetching
from gitml.project.paths import project_path
from gitml.project.project import Project
from gitml.project.repro import recover
from gitml.project.sources import refresh_ignored, sources_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What the user asked for: `words` as typed in `cwd`; `force`: keep unsaved changes aside instead of refusing."""

    words: Sequence[str] = ()
    cwd: str
    force: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Updated:
    """What became of one source, or would become of it.

    `state`: as in `Fetched`, or `unknown`, where only a download could tell; None where there was a `problem`, which
    kept the source as it was. `fetched`: None where it was only looked at.
    """

    source: SourceDeclaration
    state: str | None = None
    fetched: Fetched | None = None
    problem: GitmlError | None = None


def update(project: Project, request: Request, meter: Meter) -> Iterator[Updated]:
    """Fetch what is newer than what is recorded, one source after the other; one that fails does not stop the others.

    Raises:
        UsageError: The declaration is not valid, or a word means no declared source; nothing was fetched.
    """
    pipeline = project.pipeline()
    world = project.world(pipeline, acting=False)
    chosen = _chosen(project, pipeline, sources_of(project).known(), request)
    recover(world)
    known = refresh_ignored(project, pipeline)
    fetching = Fetching(project, world, meter)
    for source in chosen:
        yield _update(fetching, source, known, force=request.force)


def look(project: Project, request: Request, meter: Meter) -> Iterator[Updated]:
    """Ask what `update` would fetch; writes nothing. Raises as `update`."""
    pipeline = project.pipeline()
    known = sources_of(project).known()
    fetching = Fetching(project, project.world(pipeline, acting=False), meter)
    for source in _chosen(project, pipeline, known, request):
        yield _look(fetching, source, known)


def _update(fetching: Fetching, source: SourceDeclaration, known: Known, *, force: bool) -> Updated:
    try:
        fetched = fetching.update(source, known, force=force)
        return Updated(source=source, state=fetched.state, fetched=fetched)
    except InterruptedRunError:
        raise
    except GitmlError as error:
        return Updated(source=source, problem=error)


def _look(fetching: Fetching, source: SourceDeclaration, known: Known) -> Updated:
    try:
        return Updated(source=source, state=fetching.look(source, known))
    except GitmlError as error:
        return Updated(source=source, problem=error)


def _chosen(project: Project, pipeline: Pipeline, known: Known, request: Request) -> list[SourceDeclaration]:
    """Find the declared sources that the words name, or that lie in folders which they name; without words, all."""
    found: dict[str, SourceDeclaration] = {}
    for word in request.words:
        path = project_path(project.root, os.path.realpath(request.cwd), word)
        named = {one: source for one, source in pipeline.sources.items() if is_within(one, path)}
        if not named:
            raise _not_declared(pipeline, known, path)
        found.update(named)
    return list(found.values() if request.words else pipeline.sources.values())


def _not_declared(pipeline: Pipeline, known: Known, path: str) -> UsageError:
    owner = known.owner(path)
    if owner is not None:
        hint = f'gitml add {owner} records what stands there; or say where it comes from: [source."{owner}"]'
        return UsageError(f"{owner} has no url, so there is nothing to ask", hint=hint)
    import difflib  # noqa: PLC0415 - 2 ms that only a mistake should cost

    near = difflib.get_close_matches(path, pipeline.sources, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f'declare it in gitml.toml: [source."{path}"] with its url'
    return UsageError(f"{path} is no declared source", hint=hint)
