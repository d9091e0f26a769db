"""Who makes a path: the graph's own rule, asked about a compiled pipeline."""

from __future__ import annotations

from gitml.manifest.graph import Owners
from gitml.manifest.steps import Instance
from gitml.model.pipeline import Pipeline
from gitml.model.step import Step


def owners_of(pipeline: Pipeline) -> Owners:
    """Give the owners of all outputs."""
    return Owners([_instance(step) for step in pipeline.steps.values()], [])


def makers_of(owners: Owners, step: Step) -> dict[str, tuple[str, ...]]:
    """Name, for each declared input of a step, the steps that make it."""
    return {path: tuple(sorted(owners.makers(path) - {step.id})) for path in step.inputs}


def _instance(step: Step) -> Instance:
    spots = tuple(("outputs", index) for index in range(len(step.outputs)))
    return Instance(step=step, inputs=(), outputs=spots)
