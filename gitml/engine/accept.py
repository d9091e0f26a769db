"""Let outputs stand for a key that did not make them, because the user says that the change cannot matter."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace

from gitml.engine.act import Actor
from gitml.engine.decide import OutputState, staleness
from gitml.engine.execute import Execution
from gitml.engine.judge import Judge, Judgement
from gitml.engine.metrics import metrics_of
from gitml.engine.outcome import Busy
from gitml.engine.recovery import kept_elsewhere, new_run_id
from gitml.engine.subpaths import inside_outputs
from gitml.engine.workspace import Inflight, Rescued
from gitml.errors import DamagedError, GitmlError, UsageError
from gitml.model.decision import Always, Reason
from gitml.model.lock import LockEntry
from gitml.model.run import Run
from gitml.model.step import Step
from gitml.model.tree import Entry
from gitml.store.claims import Claim, Claims


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """What was let stand. `run`: the record, None when the step was fresh and nothing was to be accepted.

    `reasons`: what the user says does not matter. `rescued`: outputs that stood in the way and could not be had again.
    `is_current`: whether the step is fresh now; a run's key is that of its start, and the step may have moved on.
    """

    step: str
    run: Run | None
    reasons: tuple[Reason, ...] = ()
    rescued: tuple[Rescued, ...] = ()
    is_current: bool = True


class Accepter(Actor):
    """Records outputs without executing anything, holding the same claims as an execution would."""

    def accept_present(self, step: Step, why: str) -> Accepted:
        """Let the outputs that stand in the worktree be those of the step's present key.

        Nothing in the worktree changes but the lock, so the claims are not signed: whoever finds them after a crash has
        nothing to undo.

        Raises:
            GitmlError: An input or an output is missing, something changed meanwhile, or another process is at it.
        """
        with contextlib.ExitStack() as held:
            self._hold_outputs(step, held)
            self._judge = Judge(self._world, self._world.look())
            judgement = self._judge.judge(step)
            reasons = tuple(r for r in staleness(step, judgement.facts) if not isinstance(r, Always))
            if not reasons and not judgement.conflicted:
                return Accepted(step=step.id, run=None)
            _refuse_missing(judgement)
            self._hold(self._world.keys, judgement.observation.key, step, held)
            with self._world.store.lease.writing():
                run = self._record_of(judgement, why)
                changed = self._recorder().changed_meanwhile(judgement)
                if changed:
                    hint = "wait for its writer and try again"
                    raise GitmlError(f"{', '.join(changed)} changed meanwhile", hint=hint)
                self._world.store.runs.add(run)
                self._record(step, run)
            return Accepted(step=step.id, run=run, reasons=reasons)

    def accept_run(self, step: Step, run: Run, why: str) -> Accepted:
        """Let a tainted run stand for the key that was observed at its start, and put its outputs in place.

        Raises:
            GitmlError: Its outputs cannot be had any more, or another process is at it; what stood there is in place.
        """
        with contextlib.ExitStack() as held:
            claims = self._hold_outputs(step, held)
            claims.append(self._hold(self._world.keys, run.key, step, held))
            self._judge = Judge(self._world, self._world.look())
            judgement = self._judge.judge(step)
            workspace = self._world.workspace
            states = workspace.compare(run.outputs)
            wanted = {path: run.outputs[path] for path, state in states.items() if state is not OutputState.SAME}
            if not self._world.store.holds(wanted):
                raise DamagedError(
                    f"the outputs of run {run.id} are no longer in the cache", hint=f"gitml repro {step.id}"
                )
            accepted = replace(run, accepted=why)
            intent = Inflight(id=new_run_id(), step=step.id, outputs=tuple(wanted))
            self._sign(claims, intent)
            inflight = workspace.set_aside(intent, kept_elsewhere(judgement))
            with self._undone_on_error(inflight), self._world.store.lease.writing():
                workspace.restore(wanted)
                self._world.store.runs.add(accepted)
                self._record(step, accepted)
            rescued = tuple(workspace.commit(inflight))
            current = judgement.observation.key == run.key
            return Accepted(step=step.id, run=accepted, rescued=rescued, is_current=current)

    def _record(self, step: Step, run: Run) -> None:
        """Write the lock that a run would have written at its end."""
        subpaths, globs = inside_outputs(step, self._readers.get(step.id, frozenset()), self._judge.look.view)
        lock = LockEntry(
            key=run.key,
            recipe=run.recipe,
            outputs=run.outputs,
            subpaths=subpaths,
            globs=globs,
            metrics=run.metrics,
            accepted=run.accepted,
        )
        self._world.locks.write(step, lock)

    def _record_of(self, judgement: Judgement, why: str) -> Run:
        """Put the outputs into the store and write a card, of no command and no time."""
        step = judgement.observation.step
        outputs: dict[str, Entry] = {}
        for output in step.outputs:
            entry = self._world.workspace.ingest(output)
            if entry is None:
                raise UsageError(f"output {output.path} of step {step.id} is missing", hint=f"gitml repro {step.id}")
            outputs[output.path] = entry
        nothing = Execution(
            code=0, started=time.time(), duration=0.0, cpu_seconds=0.0, peak_memory=0, attempts=0, timed_out=False
        )
        card = self._card(judgement, new_run_id(), nothing, *self._snapshot(judgement))
        metrics, _ = metrics_of(self._world.root, step)
        return replace(card, outputs=outputs, metrics=metrics, accepted=why)

    def _hold_outputs(self, step: Step, held: contextlib.ExitStack) -> list[Claim]:
        names = [f"{self._world.root}\0{output.path}" for output in step.outputs]
        claims = [self._hold(self._world.paths, name, step, held) for name in names]
        self._recover(claims)
        return claims

    def _hold(self, claims: Claims, name: str, step: Step, held: contextlib.ExitStack) -> Claim:
        claim = self._claim(claims, name, step, held)
        if isinstance(claim, Busy):
            raise GitmlError(f"step {step.id} is being worked on by {claim.holder}", hint="wait for it to end")
        return claim


def _refuse_missing(judgement: Judgement) -> None:
    step = judgement.observation.step
    if judgement.facts.missing:
        names = ", ".join(judgement.facts.missing)
        raise UsageError(f"input {names} of step {step.id} is missing", hint="only a whole recipe has a key")
