"""The benchmark's arithmetic: ratios, the table, the bars, and the reduction of samples."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.bench.bars import Bar, Extra, judge
from tests.bench.child import Sample, run
from tests.bench.load import Load, Shape
from tests.bench.measure import best_of
from tests.bench.result import Case, Operation, Result, cell, duration, ratio, table


def test_ratio_is_above_one_when_the_other_is_slower() -> None:
    assert ratio(Result(seconds=2.0), Result(seconds=5.0)) == 2.5


@pytest.mark.parametrize("none", [None, Result(over=580.0), Result(failure="failed, exit 1")])
def test_ratio_needs_two_figures(none: Result | None) -> None:
    assert ratio(none, Result(seconds=1.0)) is None
    assert ratio(Result(seconds=1.0), none) is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.00234, "2.34 ms"), (0.0851, "85.1 ms"), (1.0, "1.00 s"), (580.2, "580 s")]
)
def test_durations_keep_three_figures(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_table_puts_ratio_time_and_memory_in_a_cell() -> None:
    ours, theirs = Result(seconds=0.1, peak=30_000_000), Result(seconds=4.2, peak=65_000_000)
    results = {
        Case("gitml", Operation.NOOP, Shape.FAN, 100): ours,
        Case("dvc", Operation.NOOP, Shape.FAN, 100): theirs,
        Case("gitml", Operation.FIRST, Shape.FAN, 100): Result(seconds=2.0, peak=31_000_000),
        Case("dvc", Operation.FIRST, Shape.FAN, 100): Result(over=580.0),
        Case("gitml", Operation.FIRST, Shape.CHAIN, 1000): Result(failure="failed, exit 1"),
    }
    assert table(results, ["gitml", "dvc"]).splitlines() == [
        "| steps | shape | operation | gitml | dvc |",
        "|---|---|---|---|---|",
        "| 100 | fan | first run | 2.00 s, 31 MB | >580 s |",
        "| 100 | fan | no-op | 100 ms, 30 MB | **42x** 4.20 s, 65 MB |",
        "| 1000 | chain | first run | failed, exit 1 | not run |",
    ]


def test_a_slower_gitml_is_shown_as_such() -> None:
    assert cell(Result(seconds=0.5, peak=1_000_000), Result(seconds=2.0)).startswith("**0.25x**")


def test_bars_on_figures_that_meet_them_all() -> None:
    bars = judge(_figures(ours=1.0), _extra(status=0.1))
    assert [bar.text for bar in bars if not bar.met] == []
    assert len(bars) == 8


def test_bars_count_the_worse_shape() -> None:
    results = _figures(ours=1.0)
    results[Case("gitml", Operation.NOOP, Shape.CHAIN, 1000)] = Result(seconds=1.3, peak=61_000_000)
    missed = [str(bar) for bar in judge(results, _extra(status=0.1)) if not bar.met]
    assert missed == [
        "no-op of 1000 steps over doit: at most 1x: 1.04x, NOT met",
        "peak memory of a no-op of 1000 steps: at most 60 MB: 61.00 MB, NOT met",
    ]


def test_a_first_run_is_compared_per_step() -> None:
    results = _figures(ours=1.0)
    bar = next(bar for bar in judge(results, Extra()) if bar.text.startswith("DVC's first run"))
    assert bar.figure == pytest.approx((70.0 / 100) / (20.0 / 1000))


def test_bars_without_figures_are_not_met() -> None:
    bars = judge({}, Extra())
    assert all(not bar.met and str(bar).endswith("not measured, NOT met") for bar in bars)


@pytest.mark.parametrize(("figure", "at_most", "met"), [(2.0, True, True), (2.1, True, False), (1.9, False, False)])
def test_a_bar_includes_its_limit(figure: float, at_most: bool, met: bool) -> None:
    assert Bar(text="x", figure=figure, limit=2.0, at_most=at_most).met is met


def test_samples_give_the_best_time_and_the_worst_memory() -> None:
    samples = [Sample(seconds=2.0, peak=10, exit_status=0), Sample(seconds=1.0, peak=30, exit_status=0)]
    assert best_of(samples) == Result(seconds=1.0, peak=30)


def test_one_failure_fails_a_case() -> None:
    samples = [Sample(seconds=2.0, peak=10, exit_status=0), Sample(seconds=0.1, peak=10, exit_status=3)]
    assert best_of(samples) == Result(failure="failed, exit 3")


def test_a_child_is_measured(tmp_path: Path) -> None:
    code = "import sys, time; x = bytearray(90_000_000); time.sleep(0.2); sys.exit('words')"
    sample = run([sys.executable, "-c", code], cwd=tmp_path, environ=os.environ, limit=60)
    assert (sample.exit_status, sample.words, sample.timed_out) == (1, "words", False)
    assert 0.2 <= sample.seconds < 30
    assert sample.peak > 90_000_000


def test_a_child_and_all_that_it_started_die_at_the_limit(tmp_path: Path) -> None:
    sample = run(["sh", "-c", "sleep 600; touch late"], cwd=tmp_path, environ=os.environ, limit=0.2)
    assert sample.timed_out
    assert best_of([sample]).seconds is None
    assert not (tmp_path / "late").exists()


def test_a_chain_depends_on_the_step_before() -> None:
    assert Load(steps=3, shape=Shape.CHAIN).inputs(2) == ["in/2", "out/1"]
    assert Load(steps=3, shape=Shape.FAN).inputs(2) == ["in/2"]


def _figures(*, ours: float) -> dict[Case, Result]:
    seconds = {
        ("gitml", Operation.NOOP, 1000): ours,
        ("doit", Operation.NOOP, 1000): 1.25,
        ("gitml", Operation.NOOP, 100): 0.2,
        ("dvc", Operation.NOOP, 100): 4.0,
        ("gitml", Operation.FIRST, 1000): 20.0,
        ("make", Operation.FIRST, 1000): 8.0,
        ("dvc", Operation.FIRST, 100): 70.0,
    }
    return {
        Case(tool, operation, shape, steps): Result(seconds=value, peak=50_000_000)
        for (tool, operation, steps), value in seconds.items()
        for shape in Shape
    }


def _extra(*, status: float) -> Extra:
    return Extra(
        click=Result(seconds=0.06),
        status=Result(seconds=status),
        cold_status=Result(seconds=0.15),
        serial=Result(seconds=10.5),
        parallel=Result(seconds=5.5),
    )
