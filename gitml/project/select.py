"""From the names that a user gives to the steps that they mean."""

from __future__ import annotations

from collections.abc import Sequence

from gitml.errors import UsageError
from gitml.model.pipeline import Pipeline


def named_steps(pipeline: Pipeline, names: Sequence[str]) -> tuple[str, ...]:
    """Give the ids of the named steps, families (`train`), instances (`train@fold=0`) or makers of a path.

    Raises:
        UsageError: A name means nothing here; the hint has the nearest one.
    """
    found: dict[str, None] = {}
    for name in names:
        ids = pipeline.family(name) or _makers(pipeline, name)
        if not ids:
            import difflib  # noqa: PLC0415 - 2 ms that only a mistake should cost

            known = sorted({*pipeline.steps, *(step.name for step in pipeline.steps.values())})
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"steps: {', '.join(known[:20]) or 'none'}"
            raise UsageError(f"no step is named {name!r}", hint=hint)
        found.update(dict.fromkeys(ids))
    return tuple(found)


def _makers(pipeline: Pipeline, path: str) -> tuple[str, ...]:
    path = path.rstrip("/").removeprefix("./")
    return tuple(step.id for step in pipeline.steps.values() if any(output.path == path for output in step.outputs))
