"""The loop of `repro`: judge what is ready, act on what is stale, until nothing is left.

One thread judges and reports; acts are carried out by workers, one for each step that may run at once. Deciding happens
step by step: a step that runs again may give the same bytes, and then nothing below it is stale.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from gitml.engine.act import Act, Actor
from gitml.engine.card import Environment
from gitml.engine.execute import Running
from gitml.engine.judge import Judge, Judgement
from gitml.engine.outcome import Busy, Failed, Kept, Outcome, Skipped, Verified
from gitml.engine.report import Reporter
from gitml.engine.resources import Grant, Machine, Pool
from gitml.engine.schedule import Schedule
from gitml.engine.tail import Tail
from gitml.engine.workers import Done, Workers
from gitml.errors import EXIT_FAILED, GitmlError, system_error_hint, system_error_text
from gitml.model.decision import Execute, Keep
from gitml.model.step import Step

_SHORTEST_PAUSE = 0.02
_LONGEST_PAUSE = 0.5
_STREAM_EVERY = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What the user asked of `repro`. `forced`: steps to execute though fresh; `verify`: run again to compare."""

    wanted: frozenset[str]
    forced: frozenset[str] = frozenset()
    verify: frozenset[str] = frozenset()
    keep_going: bool = False
    stream: bool = False


@dataclass(slots=True)
class Result:
    """What became of each step, in the order in which they ended, and what was judged of each at first."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    judgements: dict[str, Judgement] = field(default_factory=dict)
    exit_code: int = 0
    interrupted: bool = False


@dataclass(order=True, slots=True)
class _Turn:
    """A step that waits to be acted upon; sorted by the work behind it."""

    priority: tuple[float, int]
    step: Step = field(compare=False)
    judgement: Judgement = field(compare=False)
    not_before: float = field(default=0.0, compare=False)
    pause: float = field(default=_SHORTEST_PAUSE, compare=False)


class Loop:
    """One call of `repro`."""

    def __init__(
        self,
        judge: Judge,
        options: Options,
        machine: Machine,
        reporter: Reporter,
        facts: Environment,
        durations: Mapping[str, float],
    ) -> None:
        self._judge = judge
        self._steps = judge.world.pipeline.steps
        self._options = options
        self._reporter = reporter
        self._pool = Pool(machine)
        self._schedule = Schedule(judge.world.pipeline, options.wanted, durations)
        self._running = Running()
        self._tail = Tail(judge.world.environ)
        self._actor = Actor(judge.world, judge, self._running, facts, log_started=self._tail.began)
        self._workers = Workers(self._actor)
        self._turns: list[_Turn] = []
        self._parked: list[_Turn] = []
        self._told: set[str] = set()
        self._active: dict[str, tuple[_Turn, Grant]] = {}
        self._halted = False
        self._hurry = threading.Event()
        self._stopper: threading.Thread | None = None
        self.result = Result()

    def run(self) -> Result:
        """Settle every wanted step, or find out that it cannot be."""
        for step_id in sorted(self._options.wanted):
            self._pool.check(self._steps[step_id])
        self._reporter.began([step_id for step_id in self._steps if step_id in self._options.wanted])
        try:
            self._go_on()
        except BaseException:
            self._abandon()
            raise
        finally:
            self._workers.dismiss()
            self._actor.close()
        for step_id, step in self._steps.items():
            if step_id in self._options.wanted and step_id not in self.result.outcomes:
                self._settle(step, Skipped(because="the run was stopped"))
        return self.result

    def interrupt(self) -> None:
        """Stop: finished steps stay finished, running ones get SIGINT, then SIGTERM, then SIGKILL.

        Made for a signal handler: it only leaves a mark and wakes the loop, so no work is cut in half. Called again, it
        shortens the wait before the next signal.
        """
        if self.result.interrupted:
            self._hurry.set()
        self.result.interrupted = True
        self._workers.wake()

    def _go_on(self) -> None:
        while True:
            if self.result.interrupted:
                self._stop()
            self._judge_ready()
            self._launch()
            if not self._active and (self._halted or not self._parked):
                if self._turns and not self._halted:
                    raise RuntimeError(f"{self._turns[0].step.id} could never start: the pool is short of its own")
                return
            self._await()

    def _judge_ready(self) -> None:
        while not self._halted and not self.result.interrupted and (step_id := self._schedule.pop()) is not None:
            self._consider(self._steps[step_id])

    def _consider(self, step: Step) -> None:
        """Judge a step that is ready: keep it at once, or queue it for its turn."""
        try:
            judgement = self._judge.judge(step, force=step.id in self._options.forced)
        except (GitmlError, OSError) as error:
            self._fail(step, error)
            return
        self.result.judgements[step.id] = judgement
        decision = judgement.decision
        if isinstance(decision, Keep) and judgement.renamed_from is None and step.id not in self._options.verify:
            self._settle(step, Kept(frozen=decision.frozen))
        else:
            heapq.heappush(self._turns, _Turn(self._schedule.priority(step.id), step, judgement))

    def _launch(self) -> None:
        """Start what there is room for, the most urgent first."""
        now = time.monotonic()
        for turn in [turn for turn in self._parked if turn.not_before <= now]:
            self._parked.remove(turn)
            heapq.heappush(self._turns, turn)
        waiting = []
        while self._turns and not self._halted:
            turn = heapq.heappop(self._turns)
            grant = self._pool.take(turn.step.resources)
            if grant is None:
                waiting.append(turn)
                if not self._pool.has_cpus:
                    break
            else:
                self._start(turn, grant)
        for turn in waiting:
            heapq.heappush(self._turns, turn)

    def _start(self, turn: _Turn, grant: Grant) -> None:
        self._active[turn.step.id] = (turn, grant)
        decision = turn.judgement.decision
        if isinstance(decision, Execute) and not turn.judgement.facts.missing and turn.step.id not in self._told:
            self._reporter.started(turn.step.id, decision.reasons)
        self._workers.start(
            Act(
                judgement=turn.judgement,
                grant=grant,
                force=turn.step.id in self._options.forced,
                verify=turn.step.id in self._options.verify,
            )
        )

    def _await(self) -> None:
        """Wait for an act to end, meanwhile passing on what the only running step writes."""
        done = self._workers.next(self._patience())
        if self._options.stream and len(self._active) == 1:
            ((turn, _),) = self._active.values()
            self._stream(turn.step)
        if done is not None:
            self._end(done)

    def _patience(self) -> float | None:
        if self._options.stream and len(self._active) == 1:
            return _STREAM_EVERY
        if self._parked:
            return max(0.0, min(turn.not_before for turn in self._parked) - time.monotonic())
        return None

    def _stream(self, step: Step) -> None:
        for data in self._tail.news(step):
            self._reporter.output(step.id, data)

    def _stream_rest(self, step: Step) -> None:
        """Pass on a step's last words, where it was alone or had been heard before."""
        if self._options.stream and (not self._active or self._tail.was_heard(step)):
            for data in self._tail.rest(step):
                self._reporter.output(step.id, data)
        self._tail.ended(step)

    def _end(self, done: Done) -> None:
        step = done.act.judgement.observation.step
        turn, grant = self._active.pop(step.id)
        self._pool.give_back(grant)
        self._stream_rest(step)
        if isinstance(done.outcome, (GitmlError, OSError)):
            self._fail(step, done.outcome)
        elif isinstance(done.outcome, Busy):
            self._park(turn, done.outcome.holder)
        else:
            self._settle(step, done.outcome)

    def _park(self, turn: _Turn, holder: str) -> None:
        if turn.step.id not in self._told:
            self._told.add(turn.step.id)
            self._reporter.waiting(turn.step.id, holder)
        turn.not_before = time.monotonic() + turn.pause
        turn.pause = min(2 * turn.pause, _LONGEST_PAUSE)
        self._parked.append(turn)

    def _fail(self, step: Step, error: GitmlError | OSError) -> None:
        if isinstance(error, GitmlError):
            why, hint = error.message, error.hint
        else:
            why, hint = system_error_text(error), system_error_hint(error)
        failed = Failed(why=why, detail=(hint,) if hint else ())
        self._settle(step, failed, code=getattr(error, "exit_code", EXIT_FAILED))

    def _settle(self, step: Step, outcome: Outcome, *, code: int = EXIT_FAILED) -> None:
        self.result.outcomes[step.id] = outcome
        self._reporter.settled(step.id, outcome)
        if isinstance(outcome, Failed) or (isinstance(outcome, Verified) and outcome.differing):
            self.result.exit_code = self.result.exit_code or code
            self._halted = self._halted or not self._options.keep_going
            for lost in self._schedule.block(step.id):
                self._settle(self._steps[lost], Skipped(because=f"{step.id} failed"))
        elif not isinstance(outcome, Skipped):
            self._schedule.done(step.id)

    def _abandon(self) -> None:
        """Stop after an error of our own, such as a reader who left (`gitml repro | head`): no step runs on alone."""
        self._stop()
        while self._workers.busy:
            self._workers.next(None)

    def _stop(self) -> None:
        """End what runs; acts that were under way are undone by their own threads and reported."""
        self._halted = True
        if self._stopper is None:
            self._stopper = threading.Thread(target=self._running.stop, args=(self._hurry,), daemon=True)
            self._stopper.start()
