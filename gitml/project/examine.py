"""Look at steps as `status` does, for the commands that tell more about them. Writes nothing but derived caches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gitml.engine.judge import Judge, Judgement
from gitml.engine.survey import survey
from gitml.model.pipeline import Pipeline
from gitml.project.preflight import check
from gitml.project.project import Project
from gitml.project.select import named_steps


@dataclass(frozen=True, kw_only=True, slots=True)
class Examined:
    """What the named steps (or all) are, and a judgement of them and of all they need, by id, upstream first."""

    pipeline: Pipeline
    judge: Judge
    named: tuple[str, ...]
    judgements: dict[str, Judgement]


def examine(project: Project, names: Sequence[str]) -> Examined:
    """Judge the named steps and all they need, or all steps.

    Raises:
        GitmlError: The declaration, a lock or the code is not valid.
    """
    pipeline = project.pipeline()
    named = named_steps(pipeline, names) if names else tuple(pipeline.steps)
    wanted = pipeline.closure(named)
    world = project.world(pipeline, acting=False)
    judge = Judge(world, world.look())
    check(judge, sorted(wanted))
    judgements = survey(judge, wanted)
    judge.look.view.save()
    return Examined(pipeline=pipeline, judge=judge, named=named, judgements=judgements)
