"""All runs that are known here, committed or not, as a table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gitml.errors import UsageError
from gitml.manifest.problems import nearest
from gitml.model.run import Run
from gitml.project.metrics import flatten
from gitml.project.project import Project
from gitml.project.select import named_steps

_OWN = {"started": lambda run: run.started, "duration": lambda run: run.duration}


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """One run. `metrics`: numbers by `file:dotted.name`."""

    run: Run
    metrics: Mapping[str, float]


def list_runs(project: Project, names: Sequence[str], *, sort: str | None, reverse: bool = False) -> list[Listed]:
    """List runs of the named steps (or of all), newest first; with `sort`, by that number, the largest first.

    `sort` is the end of a metric's or a parameter's name, `started` or `duration`. `reverse` turns the order round;
    runs without the number come last in both.

    Raises:
        UsageError: A name is no step and no step that ever ran, or `sort` is no number of these runs.
    """
    every = sorted(project.store.runs.all(), key=lambda run: run.id, reverse=True)
    chosen = _of_steps(project, every, names) if names else every
    listed = [Listed(run=run, metrics=flatten(run.metrics)) for run in chosen]
    if sort is None:
        return listed[::-1] if reverse else listed
    values = _values(listed, sort)
    pairs = list(zip(listed, values, strict=True))
    known = sorted((pair for pair in pairs if pair[1] is not None), key=_number, reverse=not reverse)
    return [*(one for one, _ in known), *(one for one, value in pairs if value is None)]


def varying(tables: Sequence[Mapping[str, object]], *, missing: bool) -> list[str]:
    """Name the columns that do not have one and the same value in every row; all columns of a single row.

    `missing` tells whether a row without the column counts as having another value.
    """
    names = dict.fromkeys(name for table in tables for name in table)
    if len(tables) < 2:
        return list(names)
    return [name for name in names if _varies(name, tables, missing=missing)]


def _varies(name: str, tables: Sequence[Mapping[str, object]], *, missing: bool) -> bool:
    values = [table[name] for table in tables if name in table]
    return any(value != values[0] for value in values) or (missing and len(values) < len(tables))


def short_names(tables: Iterable[Mapping[str, float]]) -> dict[str, str]:
    """Give each metric the name of its column: without its file, unless a run has that name in two files.

    The instances of a family write the same numbers to files of their own: they belong in one column.
    """
    short: dict[str, str] = {}
    clashing: set[str] = set()
    for table in tables:
        here: set[str] = set()
        for name in table:
            short[name] = inner = name.partition(":")[2] or name
            if inner in here:
                clashing.add(inner)
            here.add(inner)
    return {name: name if inner in clashing else inner for name, inner in short.items()}


def is_named(name: str, ending: str) -> bool:
    """Tell whether a number is meant by the end of its name."""
    return name == ending or name.endswith((f":{ending}", f".{ending}"))


def _of_steps(project: Project, runs: Sequence[Run], names: Sequence[str]) -> list[Run]:
    """Pick by step or family; a step that is no longer declared still has its runs."""
    ran = {run.step for run in runs} | {run.step.partition("@")[0] for run in runs}
    unknown = [name for name in names if name not in ran]
    wanted = {*names, *named_steps(project.pipeline(), unknown)}
    return [run for run in runs if run.step in wanted or run.step.partition("@")[0] in wanted]


def _values(listed: Sequence[Listed], sort: str) -> list[float | None]:
    if sort in _OWN:
        return [float(_OWN[sort](one.run)) for one in listed]
    values = [_value(one, sort) for one in listed]
    if listed and all(value is None for value in values):
        known = dict.fromkeys(name for one in listed for name in _numbers(one))
        hint = nearest(sort, (name.rpartition(":")[2] for name in known))
        raise UsageError(
            f"no run here has a number {sort!r}",
            hint=hint or f"numbers: {', '.join([*known][:10]) or 'none'}, started, duration",
        )
    return [None if value is None or math.isnan(value) else value for value in values]


def _value(one: Listed, sort: str) -> float | None:
    numbers = _numbers(one)
    found = [name for name in numbers if is_named(name, sort)]
    exact = [name for name in found if name in (sort, f"{name.partition(':')[0]}:{sort}")]
    found = exact if len(exact) == 1 else found
    if len(found) > 1:
        raise UsageError(f"{sort!r} means several numbers of run {one.run.id}", hint="one of " + ", ".join(found[:8]))
    return numbers[found[0]] if found else None


def _numbers(one: Listed) -> dict[str, float]:
    params = {n: float(v) for n, v in one.run.params.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
    return {**params, **one.metrics}


def _number(pair: tuple[Listed, float | None]) -> float:
    return pair[1] or 0.0
