"""A project in memory, for the tests of the declaration."""

from __future__ import annotations

import pytest

from gitml.manifest.load import load
from gitml.manifest.problems import ManifestError, Problem
from gitml.model.pipeline import Pipeline
from gitml.model.step import Step


def compiled(text: str, **files: str | bytes) -> Pipeline:
    """Load a manifest; other files are named with `__` for `.` (`params__toml`)."""
    given = {name.replace("__", "."): data for name, data in files.items()} | {"gitml.toml": text}
    return load_files(given)


def load_files(given: dict[str, str | bytes]) -> Pipeline:
    raw = {name: data.encode() if isinstance(data, str) else data for name, data in given.items()}
    return load(raw.get)


def step(text: str, **files: str | bytes) -> Step:
    """Load a manifest and give its only step."""
    (only,) = compiled(text, **files).steps.values()
    return only


def problems(text: str, **files: str | bytes) -> tuple[Problem, ...]:
    with pytest.raises(ManifestError) as caught:
        compiled(text, **files)
    assert str(caught.value)
    return caught.value.problems


def problem(text: str, **files: str | bytes) -> Problem:
    """Load a manifest that has one mistake."""
    (only,) = problems(text, **files)
    return only


def told(text: str, **files: str | bytes) -> tuple[int, int, str, str | None]:
    """Give the place, message and hint of the one mistake."""
    one = problem(text, **files)
    return one.line, one.column, one.message, one.hint
