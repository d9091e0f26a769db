"""A step as it is resolved, with all code that was found for it; or a run with its log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gitml.engine.judge import Judgement
from gitml.errors import UsageError
from gitml.manifest.graph import Owners
from gitml.model.pipeline import Pipeline
from gitml.model.run import Run
from gitml.model.step import Step
from gitml.project.examine import examine
from gitml.project.lookup import latest_run, look_up
from gitml.project.owners import makers_of, owners_of
from gitml.project.project import Project
from gitml.project.row import Row
from gitml.project.status import row_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """One step. `makers`: for each declared input, the steps that make it. `last_run`: the newest, however it ended."""

    step: Step
    row: Row
    judgement: Judgement
    makers: Mapping[str, tuple[str, ...]]
    readers: tuple[str, ...]
    last_run: Run | None


def show(project: Project, name: str) -> list[Shown] | Run:
    """Show the steps that a name means, or the run.

    Raises:
        GitmlError: The name means nothing, or the declaration, a lock or the code is not valid.
    """
    pipeline = project.pipeline()
    named = look_up(pipeline, project.store, name)
    if named.run is not None:
        return named.run
    examined = examine(project, named.steps)
    owners = owners_of(pipeline)
    return [_shown(project, pipeline, examined.judgements[step_id], owners) for step_id in named.steps]


def log_of(project: Project, name: str) -> bytes | None:
    """Give the captured log of a run, or of the last run of a step; None when it wrote nothing.

    Raises:
        GitmlError: There is no such run, or its log is not in the cache any more.
    """
    named = look_up(project.pipeline(), project.store, name)
    run = named.run if named.run is not None else _last_of(project, named.steps)
    return None if run.log is None else project.store.objects.read(run.log)


def _last_of(project: Project, steps: Sequence[str]) -> Run:
    if len(steps) > 1:
        raise UsageError(f"{len(steps)} instances have logs", hint="name one of them: " + ", ".join(steps[:5]))
    run = latest_run(project.store, steps[0])
    if run is None:
        raise UsageError(f"step {steps[0]} has not run here", hint=f"gitml repro {steps[0]}")
    return run


def _shown(project: Project, pipeline: Pipeline, judgement: Judgement, owners: Owners) -> Shown:
    step = judgement.observation.step
    return Shown(
        step=step,
        row=row_of(step.id, judgement, {}),
        judgement=judgement,
        makers=makers_of(owners, step),
        readers=tuple(other for other, above in pipeline.upstream.items() if step.id in above),
        last_run=latest_run(project.store, step.id),
    )
