"""Driving the tools through the cases."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench.bars import Extra
from tests.bench.child import Sample, run
from tests.bench.load import Load, Shape
from tests.bench.repository import commit_all, git
from tests.bench.result import Case, Operation, Result, cell
from tests.bench.tools.tool import Tool

_serial = itertools.count()


def retire(folder: Path) -> None:
    """Put a folder out of the way; it is deleted with all others at the very end.

    ext4 does not use an inode again within seconds of its deletion and searches past all that were deleted: making a
    file took 25 us on a quiet disk and 150 us to 350 us after some thousand deletions. Whoever is measured after a
    large project was deleted would pay for it.
    """
    folder.rename(folder.with_name(f"retired-{next(_serial)}"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long to go on: `count` samples, but none after `budget` seconds are spent, and no process beyond `limit`."""

    count: int
    budget: float
    limit: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """Where to measure and how patiently; `log` takes a line of progress."""

    folder: Path
    patience: Patience
    log: Callable[[str], None]

    def figures(self, tool: Tool, load: Load) -> Iterator[tuple[Case, Result]]:
        """Measure first run, no-op and status of one tool on one load, in that order.

        A first run that fails leaves nothing for the other two to measure, so they are not yielded.
        """
        project = self._project(f"{tool.name}-{load.shape.value}-{load.steps}", tool, load)
        first = self._best(lambda: project.first_run(self.patience.limit, jobs=1), fresh=True)
        yield self._told(Case(tool.name, Operation.FIRST, load.shape, load.steps), first)
        if first.seconds is None:
            return
        project.commit("after the first run")
        for operation, argv in ((Operation.NOOP, tool.repro(1)), (Operation.STATUS, tool.status())):
            result = self._best(partial(project.quiet, argv, self.patience.limit))
            yield self._told(Case(tool.name, operation, load.shape, load.steps), result)
        retire(project.folder)

    def parallel(self, tool: Tool, jobs: int) -> Result:
        """Measure the first run of 200 steps that sleep 50 ms each."""
        load = Load(steps=200, shape=Shape.FAN, pause=0.05)
        project = self._project(f"{tool.name}-parallel", tool, load)
        result = self._best(lambda: project.first_run(self.patience.limit, jobs=jobs), fresh=True)
        retire(project.folder)
        self.log(f"{tool.name}, 200 steps of 50 ms, -j{jobs}: {cell(result, None)}")
        return result

    def start_up(self, tool: Tool) -> Extra:
        """Measure `status` of one step beside importing click, warm and cold by turns."""
        project = self._project("start-up", tool, Load(steps=1, shape=Shape.FAN))
        first = project.first_run(self.patience.limit, jobs=1)
        if first.exit_status:
            self.log(f"start-up not measured: {first.words}")
            return Extra()
        project.commit("after the first run")
        click = [sys.executable, "-c", "import click"]
        samples: dict[str, list[Sample]] = {"click": [], "status": [], "cold_status": []}
        for _ in range(1 + 3 * self.patience.count):
            samples["click"].append(project.quiet(click, self.patience.limit))
            samples["status"].append(project.quiet(tool.status(), self.patience.limit))
            project.forget()
            samples["cold_status"].append(project.quiet(tool.status(), self.patience.limit))
        best = {name: best_of(found[1:]) for name, found in samples.items()}  # the first is the warm-up
        self.log("start-up: " + "; ".join(f"{name} {cell(result, None)}" for name, result in best.items()))
        retire(project.folder)
        return Extra(click=best["click"], status=best["status"], cold_status=best["cold_status"])

    def _project(self, name: str, tool: Tool, load: Load) -> Project:
        return Project(folder=self.folder / name, tool=tool, load=load, log=self.log)

    def _best(self, sample: Callable[[], Sample], *, fresh: bool = False) -> Result:
        """Sample until patience runs out; a warm-up comes first unless every sample starts `fresh`."""
        if not fresh and (warm_up := sample()).exit_status:
            return best_of([warm_up])
        found: list[Sample] = []
        while len(found) < self.patience.count and sum(one.seconds for one in found) < self.patience.budget:
            found.append(sample())
            if found[-1].exit_status:
                break
        return best_of(found)

    def _told(self, case: Case, result: Result) -> tuple[Case, Result]:
        self.log(f"{case.tool}, {case.operation.value}, {case.shape.value} of {case.steps}: {cell(result, None)}")
        return case, result


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """One pipeline on disk, for one tool."""

    folder: Path
    tool: Tool
    load: Load
    log: Callable[[str], None]

    def first_run(self, limit: float, *, jobs: int) -> Sample:
        """Set up anew, then run everything and look whether it was done; only the run is timed."""
        if self.folder.exists():
            retire(self.folder)
        self.load.write_inputs(self.folder)
        if self.tool.in_git:
            git(self.folder, "init", "-q")
        self.tool.setup(self.folder, self.load)
        self.commit("before the first run")
        sample = self._run(self.tool.repro(jobs), limit)
        if not sample.exit_status:
            self._check_outputs()
        return sample

    def quiet(self, argv: Sequence[str], limit: float) -> Sample:
        """Run a command that must not run any step.

        Raises:
            RuntimeError: It wrote an output.
        """
        before = self._written()
        sample = self._run(argv, limit)
        if self._written() != before:
            raise RuntimeError(f"{' '.join(argv)} ran steps again")
        return sample

    def commit(self, message: str) -> None:
        """Commit everything, if the tool lives in Git."""
        if self.tool.in_git:
            commit_all(self.folder, message)

    def forget(self) -> None:
        """Delete gitml's derived caches."""
        for path in (self.folder / ".git" / "gitml").glob("state.db*"):
            path.unlink()

    def _run(self, argv: Sequence[str], limit: float) -> Sample:
        sample = run(argv, cwd=self.folder, environ={**os.environ, **self.tool.environ}, limit=limit)
        if sample.exit_status:
            self.log(f"{' '.join(argv)}: exit {sample.exit_status}: {sample.words}")
        return sample

    def _check_outputs(self) -> None:
        for step in range(self.load.steps):
            made = (self.folder / self.load.output(step)).read_bytes()
            if made != (self.folder / "in" / str(step)).read_bytes():
                raise RuntimeError(f"{self.tool.name} wrote a wrong {self.load.output(step)}")

    def _written(self) -> list[int]:
        return [(self.folder / self.load.output(step)).stat().st_mtime_ns for step in range(self.load.steps)]


def best_of(samples: Sequence[Sample]) -> Result:
    """Reduce samples of the same case: the shortest time, the highest memory; one failure fails the case."""
    for sample in samples:
        if sample.timed_out:
            return Result(over=sample.seconds)
        if sample.exit_status:
            return Result(failure=f"failed, exit {sample.exit_status}")
    return Result(seconds=min(one.seconds for one in samples), peak=max(one.peak for one in samples))
