"""Let outputs stand: the present ones of a step, or those of a tainted run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from gitml.engine.accept import Accepted, Accepter
from gitml.engine.card import environment_facts
from gitml.engine.execute import Running
from gitml.engine.judge import Judge
from gitml.engine.survey import topological
from gitml.errors import UsageError
from gitml.model.pipeline import Pipeline
from gitml.model.run import Run
from gitml.model.step import Step
from gitml.project.lookup import look_up
from gitml.project.preflight import check
from gitml.project.project import Project
from gitml.project.repro import recover
from gitml.project.sources import refresh_ignored


def accept(project: Project, name: str, why: str) -> list[Accepted]:
    """Accept the present outputs of a step (of a family: of each instance), or the run that is named.

    Raises:
        GitmlError: The name means nothing, the run cannot be accepted, or something is missing.
    """
    if not why.strip():
        raise UsageError("a reason is needed", hint="it is what the next reader of the lock will ask for")
    pipeline = project.pipeline()
    named = look_up(pipeline, project.store, name)
    if named.run is not None:
        step = _step_of(pipeline, named.run)
        with _accepter(project, pipeline, [step.id]) as accepter:
            return [accepter.accept_run(step, named.run, why.strip())]
    order = [step_id for step_id in topological(pipeline, pipeline.steps) if step_id in named.steps]
    with _accepter(project, pipeline, order) as accepter:
        return [accepter.accept_present(pipeline.steps[step_id], why.strip()) for step_id in order]


@contextlib.contextmanager
def _accepter(project: Project, pipeline: Pipeline, steps: list[str]) -> Iterator[Accepter]:
    """Make ready as `repro` does: tell first what is wrong, settle half-done work, let Git ignore the outputs."""
    world = project.world(pipeline, acting=True)
    judge = Judge(world, world.look())
    check(judge, steps)
    recover(world)
    refresh_ignored(project, pipeline)
    accepter = Accepter(world, judge, Running(), environment_facts(project.environ))
    try:
        yield accepter
    finally:
        accepter.close()
        judge.look.view.save()


def _step_of(pipeline: Pipeline, run: Run) -> Step:
    """Find the step of a run, and refuse a run that needs no word of the user's or that has no result.

    Raises:
        UsageError: It is such a run, or the step is not declared any more or has other outputs now.
    """
    if run.exit_code != 0:
        raise UsageError(
            f"run {run.id} failed (exit {run.exit_code}) and has no outputs", hint=f"gitml repro {run.step}"
        )
    if run.servable:
        raise UsageError(
            f"run {run.id} is not tainted, so there is nothing to accept",
            hint=f"gitml accept {run.step} --reason … lets the present outputs of the step stand",
        )
    step = pipeline.steps.get(run.step)
    if step is None:
        raise UsageError(f"run {run.id} is of step {run.step}, which is not declared", hint="gitml runs")
    if set(run.outputs) != {output.path for output in step.outputs}:
        raise UsageError(f"step {step.id} declares other outputs than run {run.id} has", hint=f"gitml repro {step.id}")
    return step
