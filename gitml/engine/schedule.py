"""In which order steps are looked at: topological, and along the critical path first."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping

from gitml.model.pipeline import Pipeline

_UNKNOWN_DURATION = 1.0


class Schedule:
    """Steps that are ready, the longest remaining path first.

    A path's length is the sum of the `durations` (seconds, from earlier runs) of its steps, so that the step on which
    most work waits starts first. A step that fails blocks all that need it.
    """

    def __init__(self, pipeline: Pipeline, wanted: Iterable[str], durations: Mapping[str, float]) -> None:
        chosen = set(wanted)
        order = [step_id for step_id in pipeline.steps if step_id in chosen]
        self._needs = {i: {b for b in pipeline.before(i) if b in chosen} for i in order}
        self._below: dict[str, list[str]] = {i: [] for i in order}
        for step_id, before in self._needs.items():
            for other in before:
                self._below[other].append(step_id)
        self._rank = {step_id: number for number, step_id in enumerate(order)}
        self._length = self._lengths(order, durations)
        self._ready: list[tuple[float, int, str]] = []
        self._open = chosen
        for step_id in order:
            if not self._needs[step_id]:
                self._push(step_id)

    def pop(self) -> str | None:
        """Take the ready step with the most work behind it; None when none is ready now."""
        return heapq.heappop(self._ready)[2] if self._ready else None

    def priority(self, step_id: str) -> tuple[float, int]:
        """Give what steps are sorted by: the length of the path behind it (negative), then the declared order."""
        return -self._length[step_id], self._rank[step_id]

    def done(self, step_id: str) -> None:
        """Say that a step is settled; those that waited for it alone become ready."""
        self._open.discard(step_id)
        for below in self._below[step_id]:
            needs = self._needs[below]
            needs.discard(step_id)
            if not needs and below in self._open:
                self._push(below)

    def block(self, step_id: str) -> list[str]:
        """Say that a step failed; gives the steps that cannot be reached any more, in declared order."""
        self._open.discard(step_id)
        lost: set[str] = set()
        waiting = [step_id]
        while waiting:
            for below in self._below[waiting.pop()]:
                if below in self._open and below not in lost:
                    lost.add(below)
                    waiting.append(below)
        self._open -= lost
        return sorted(lost, key=self._rank.__getitem__)

    @property
    def remaining(self) -> int:
        """Count the steps that are neither settled nor lost."""
        return len(self._open)

    def _push(self, step_id: str) -> None:
        heapq.heappush(self._ready, (*self.priority(step_id), step_id))

    def _lengths(self, order: list[str], durations: Mapping[str, float]) -> dict[str, float]:
        waiting = {step_id: len(below) for step_id, below in self._below.items()}
        lengths = {step_id: durations.get(step_id, _UNKNOWN_DURATION) for step_id in order}
        longest_below = dict.fromkeys(order, 0.0)
        leaves = [step_id for step_id in order if not waiting[step_id]]
        while leaves:
            step_id = leaves.pop()
            lengths[step_id] += longest_below[step_id]
            for above in self._needs[step_id]:
                longest_below[above] = max(longest_below[above], lengths[step_id])
                waiting[above] -= 1
                if not waiting[above]:
                    leaves.append(above)
        return lengths
