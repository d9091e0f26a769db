"""Sampling by turns, so that a change of the machine's mood is shared by all that are compared."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping

from tests.bench.child import Sample
from tests.bench.data.task import Place, Task
from tests.bench.measure import Bench, best_of
from tests.bench.repository import NotDoneError
from tests.bench.result import Result, cell

Sampler = Callable[[], Sample]


def by_turns(
    bench: Bench,
    task: Task,
    samplers: Mapping[str, Sampler],
    *,
    warm_up: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[tuple[Place, Result]]:
    """Sample each in turn until its patience runs out; one that fails ends its own turns only.

    What a sample takes to prepare and to check counts toward the budget as well, so that the whole run has an end.
    `warm_up`: the first sample of each does not count. `clock`: seconds.
    """
    os.sync()
    turns = {name: _Turns(sampler, bench, clock) for name, sampler in samplers.items()}
    if warm_up:
        for one in turns.values():
            one.warm_up()
    while sum(one.go() for one in turns.values()):  # not `any`, which would stop at the first that went
        pass
    for name, one in turns.items():
        result = one.result()
        bench.log(f"{task.subject.value}, {task.words}, {name}: {cell(result, None)}")
        yield Place(task, name), result


class _Turns:
    """What one contestant has shown so far."""

    def __init__(self, sampler: Sampler, bench: Bench, clock: Callable[[], float]) -> None:
        self._sampler = sampler
        self._bench = bench
        self._samples: list[Sample] = []
        self._failed = False
        self._clock = clock
        self._spent = 0.0

    def warm_up(self) -> None:
        """Sample once; only a failure counts."""
        self._sample()
        if not self._failed:
            self._samples.clear()
            self._spent = 0.0

    def go(self) -> bool:
        """Sample once more, unless patience has run out; tells whether it did."""
        patience = self._bench.patience
        if self._failed or len(self._samples) >= patience.count or self._spent >= patience.budget:
            return False
        self._sample()
        return True

    def result(self) -> Result:
        """Give the best of what was shown."""
        return best_of(self._samples) if self._samples else Result(failure="failed, work not done")

    def _sample(self) -> None:
        begun = self._clock()
        try:
            sample = self._sampler()
        except NotDoneError as error:
            self._bench.log(str(error))
            self._samples.clear()
            self._failed = True
        else:
            self._samples.append(sample)
            self._failed = bool(sample.exit_status)
        self._spent += self._clock() - begun
