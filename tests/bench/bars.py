"""The bars that gitml has to clear, each judged from the figures of one run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tests.bench.load import Shape
from tests.bench.result import Case, Operation, Result, Results, ratio

STATUS_OVER_CLICK = 2.0
COLD_STATUS_OVER_CLICK = 3.0
NOOP_OVER_DOIT = 1.0
DVC_NOOP_OVER_OURS = 15.0
FIRST_OVER_MAKE = 3.0
DVC_STEP_OVER_OURS = 12.0
SPEED_UP = 1.8
NOOP_MEMORY = 60e6  # bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """One bar: what is compared, the figure (None: not measured), the limit and on which side of it is good."""

    text: str
    figure: float | None
    limit: float
    at_most: bool
    unit: str = "x"

    @property
    def met(self) -> bool:
        """Tell whether it is cleared; a figure that was not measured clears nothing."""
        if self.figure is None:
            return False
        return self.figure <= self.limit if self.at_most else self.figure >= self.limit

    def __str__(self) -> str:
        scale = 1e-6 if self.unit == " MB" else 1
        side = "at most" if self.at_most else "at least"
        bar = f"{self.text}: {side} {self.limit * scale:g}{self.unit}"
        if self.figure is None:
            return f"{bar}: not measured, NOT met"
        return f"{bar}: {self.figure * scale:.2f}{self.unit}, {'met' if self.met else 'NOT met'}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Extra:
    """Figures that are not in the table.

    `click`: `python -c "import click"`; `status`, `cold_status`: `gitml status` of one step beside it, the second
    with the derived caches deleted each time. `serial`, `parallel`: 200 steps of 50 ms by gitml with -j1 and -j2.
    """

    click: Result | None = None
    status: Result | None = None
    cold_status: Result | None = None
    serial: Result | None = None
    parallel: Result | None = None


def judge(results: Results, extra: Extra) -> list[Bar]:
    """Hold every bar against the figures; of two shapes the one that is worse for gitml counts."""
    return [*_start_up(extra), *_no_op(results), *_first_run(results, extra)]


def _start_up(extra: Extra) -> list[Bar]:
    base = 'gitml status of one step over python -c "import click"'
    return [
        Bar(text=base, figure=ratio(extra.click, extra.status), limit=STATUS_OVER_CLICK, at_most=True),
        Bar(
            text=f"{base}, derived caches deleted",
            figure=ratio(extra.click, extra.cold_status),
            limit=COLD_STATUS_OVER_CLICK,
            at_most=True,
        ),
    ]


def _no_op(results: Results) -> list[Bar]:
    def times(tool: str, steps: int) -> list[float]:
        return _known(
            ratio(_of(results, "gitml", Operation.NOOP, shape, steps), _of(results, tool, Operation.NOOP, shape, steps))
            for shape in Shape
        )

    doit = [1 / value for value in times("doit", 1000)]
    ours = [_of(results, "gitml", Operation.NOOP, shape, 1000) for shape in Shape]
    peaks = [float(result.peak) for result in ours if result and result.seconds is not None]
    return [
        Bar(text="no-op of 1000 steps over doit", figure=max(doit, default=None), limit=NOOP_OVER_DOIT, at_most=True),
        Bar(
            text="DVC's no-op of 100 steps over gitml's",
            figure=min(times("dvc", 100), default=None),
            limit=DVC_NOOP_OVER_OURS,
            at_most=False,
        ),
        Bar(
            text="peak memory of a no-op of 1000 steps",
            figure=max(peaks, default=None),
            limit=NOOP_MEMORY,
            at_most=True,
            unit=" MB",
        ),
    ]


def _first_run(results: Results, extra: Extra) -> list[Bar]:
    over_make, dvc_over = [], []
    for shape in Shape:
        ours = _of(results, "gitml", Operation.FIRST, shape, 1000)
        over_make.append(ratio(_of(results, "make", Operation.FIRST, shape, 1000), ours))
        whole = ratio(ours, _of(results, "dvc", Operation.FIRST, shape, 100))
        dvc_over.append(None if whole is None else whole * 1000 / 100)
    return [
        Bar(
            text="first run of 1000 steps over make's, both -j1",
            figure=max(_known(over_make), default=None),
            limit=FIRST_OVER_MAKE,
            at_most=True,
        ),
        Bar(
            text="DVC's first run of 100 steps over gitml's of 1000, per step",
            figure=min(_known(dvc_over), default=None),
            limit=DVC_STEP_OVER_OURS,
            at_most=False,
        ),
        Bar(
            text="200 steps of 50 ms: gitml -j1 over -j2",
            figure=ratio(extra.parallel, extra.serial),
            limit=SPEED_UP,
            at_most=False,
        ),
    ]


def _of(results: Results, tool: str, operation: Operation, shape: Shape, steps: int) -> Result | None:
    return results.get(Case(tool, operation, shape, steps))


def _known(figures: Iterable[float | None]) -> list[float]:
    return [figure for figure in figures if figure is not None]
