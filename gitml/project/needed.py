"""Which declared sources steps need that are not here: a look that costs nothing where none is declared."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from gitml.model.glob import compile_glob
from gitml.model.path import is_glob, is_within, parents
from gitml.model.pipeline import Pipeline


def needed_and_missing(root: str, pipeline: Pipeline, wanted: Iterable[str]) -> list[str]:
    """Name the declared sources that the wanted steps read and of which nothing stands at their paths."""
    missing = [path for path in pipeline.sources if not os.path.lexists(os.path.join(root, path))]
    if not missing:
        return []
    reads = [_reader(path) for path in {path for step_id in wanted for path in pipeline.steps[step_id].inputs}]
    return [path for path in missing if any(read(path) for read in reads)]


def _reader(declared: str) -> Callable[[str], bool]:
    """Make the predicate of sources that a declared input may touch."""
    if not is_glob(declared):
        return lambda path: is_within(path, declared) or is_within(declared, path)
    matches = compile_glob(declared)
    return lambda path: any(matches(one) for one in (path, *parents(path)))
