"""What other steps declare of the inside of a step's outputs: recorded in its lock, so that a commit can be judged."""

from __future__ import annotations

from collections.abc import Iterable

from gitml.engine.view import View
from gitml.engine.witness import Witness
from gitml.model.path import is_glob, is_within
from gitml.model.pipeline import Pipeline
from gitml.model.step import Step
from gitml.model.tree import Entry


def declared_by_readers(pipeline: Pipeline) -> dict[str, frozenset[str]]:
    """Collect, for each step, the inputs that its readers declare and that are not simply one of its outputs."""
    found: dict[str, set[str]] = {}
    for step in pipeline.steps.values():
        for above in pipeline.upstream.get(step.id, ()):
            whole = {output.path for output in pipeline.steps[above].outputs}
            found.setdefault(above, set()).update(path for path in step.inputs if path not in whole)
    return {step_id: frozenset(paths) for step_id, paths in found.items()}


def inside_outputs(
    step: Step, declared_inputs: Iterable[str], view: View
) -> tuple[dict[str, Entry], dict[str, tuple[str, ...]]]:
    """Give the entries of declared paths inside a step's outputs, and for each glob what it matches there."""
    outputs = [output.path for output in step.outputs]
    subpaths: dict[str, Entry] = {}
    globs: dict[str, tuple[str, ...]] = {}
    witness: Witness = {}
    for declared in sorted(declared_inputs):
        if is_glob(declared):
            found = [path for path in view.expand(declared, witness) if _holder(path, outputs)]
            globs[declared] = tuple(found)
        else:
            found = [declared] if _holder(declared, outputs) else []
        for path in found:
            seen = view.seen(path, witness) if path not in outputs else None
            if seen is not None:
                subpaths[path] = seen.entry
    return subpaths, globs


def _holder(path: str, outputs: list[str]) -> str | None:
    return next((output for output in outputs if is_within(path, output)), None)
