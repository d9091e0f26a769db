"""Figures, and the table that they make. Nothing here measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from tests.bench.load import Shape


class Operation(str, Enum):
    """What a tool is asked to do."""

    FIRST = "first run"
    NOOP = "no-op"
    STATUS = "status"


class Case(NamedTuple):
    """One figure's place: who did what with which pipeline."""

    tool: str
    operation: Operation
    shape: Shape
    steps: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """The best wall time of some samples (seconds) and their highest peak memory (bytes).

    `over`: it was killed at that many seconds. `failure`: why there is no figure at all.
    """

    seconds: float | None = None
    peak: int = 0
    over: float | None = None
    failure: str | None = None


Results = Mapping[Case, Result]


def ratio(ours: Result | None, theirs: Result | None) -> float | None:
    """Tell how many times as long as we the other takes; None where either has no figure."""
    if ours is None or theirs is None or ours.seconds is None or theirs.seconds is None:
        return None
    return theirs.seconds / ours.seconds


def duration(seconds: float) -> str:
    """Write a time with three figures that mean something: `12 ms`, `3.41 s`, `580 s`."""
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    return f"{seconds:.2f} s" if seconds < 100 else f"{seconds:.0f} s"


def memory(count: int) -> str:
    """Write a number of bytes in MB (10^6)."""
    return f"{count / 1e6:.0f} MB"


def cell(result: Result | None, ours: Result | None) -> str:
    """Write one figure: the ratio to gitml's where there is one, the time, the memory."""
    if result is None:
        return "not run"
    if result.failure is not None:
        return result.failure
    if result.over is not None:
        return f">{duration(result.over)}"
    assert result.seconds is not None
    text = f"{duration(result.seconds)}, {memory(result.peak)}"
    times = None if result is ours else ratio(ours, result)
    if times is None:
        return text
    return f"**{times:.0f}x** {text}" if times >= 10 else f"**{times:.2g}x** {text}"


def table(results: Results, tools: Sequence[str]) -> str:
    """Write all figures as one Markdown table, a column for each tool, gitml first."""
    rows = sorted({case[1:] for case in results}, key=lambda row: (row[2], row[1], list(Operation).index(row[0])))
    lines = [
        "| steps | shape | operation | " + " | ".join(tools) + " |",
        "|---|---|---|" + "---|" * len(tools),
    ]
    for operation, shape, steps in rows:
        found = {tool: results.get(Case(tool, operation, shape, steps)) for tool in tools}
        cells = " | ".join(cell(found[tool], found.get("gitml")) for tool in tools)
        lines.append(f"| {steps} | {shape.value} | {operation.value} | {cells} |")
    return "\n".join(lines)
