"""Conclude an execution whose commands have ended: take its outputs over and record it, or undo."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gitml.engine.execute import Execution
from gitml.engine.judge import Judge, Judgement
from gitml.engine.metrics import metrics_of
from gitml.engine.outcome import Executed, Failed, Outcome, Verified
from gitml.engine.redact import without_secrets
from gitml.engine.subpaths import inside_outputs
from gitml.engine.workspace import Inflight
from gitml.engine.world import World
from gitml.errors import GitmlError
from gitml.model.decision import Reason
from gitml.model.digest import Digest
from gitml.model.lock import LockEntry
from gitml.model.run import Run
from gitml.model.step import Step
from gitml.model.tree import Entry, Kind

_TAIL_LINES = 20
_TAIL_BYTES = 16 << 10


@dataclass(frozen=True, slots=True)
class Ended:
    """An execution whose commands have ended, on the way to its record. `verify`: it is only compared."""

    judgement: Judgement
    verify: bool
    reasons: tuple[Reason, ...]
    inflight: Inflight
    execution: Execution
    run: Run
    log_path: str


@dataclass(frozen=True, slots=True)
class Recorder:
    """Concludes executions and writes locks, by one look at the world; the lease is held.

    `readers`: by step, the inputs inside its outputs that others declare. `stopping`: set once it is interrupted.
    """

    world: World
    judge: Judge
    readers: Mapping[str, frozenset[str]]
    stopping: threading.Event

    def conclude(self, end: Ended) -> Outcome:
        """Take the outputs over, or undo, after the commands have ended."""
        step = end.judgement.observation.step
        if end.execution.code != 0 or end.execution.timed_out:
            why = _how_it_ended(step, end.execution, stopped=self.stopping.is_set())
            return self._fail(end, replace(end.run, exit_code=end.execution.code or 124), why)
        outputs: dict[str, Entry] = {}
        for output in step.outputs:
            try:
                entry = self.world.workspace.ingest(output)
            except GitmlError as error:
                return self._fail(end, replace(end.run, exit_code=1), error.message, hint=error.hint)
            if entry is None:
                return self._fail(end, replace(end.run, exit_code=1), f"output {output.path} was not written")
            outputs[output.path] = entry
        metrics, unread = metrics_of(self.world.root, step)
        run = replace(end.run, outputs=outputs, metrics=metrics)
        tainted = self.changed_meanwhile(end.judgement)
        if tainted:
            return self._taint(end, replace(run, tainted=tuple(tainted)))
        if end.verify:
            return self._verified(end, run)
        self._keep_input_trees(end.judgement)
        self.world.store.runs.add(run)
        self.write_lock(end.judgement, run)
        rescued = tuple(self.world.workspace.commit(end.inflight))
        return Executed(run=run, reasons=end.reasons, rescued=rescued, unread=unread)

    def _fail(self, end: Ended, run: Run, why: str, *, hint: str | None = None) -> Failed:
        self.world.store.runs.add(run)
        partial = self.world.workspace.roll_back(end.inflight)
        detail = (hint,) if hint else ()
        return Failed(why=why, reasons=end.reasons, detail=detail, partial=partial, tail=self._tail(end), run=run)

    def _taint(self, end: Ended, run: Run) -> Failed:
        self.world.store.runs.add(run)
        partial = self.world.workspace.roll_back(end.inflight)
        names = ", ".join(run.tainted)
        detail = (
            f"the result is kept as run {run.id}; if the change does not matter: gitml accept {run.id} --reason …",
        )
        return Failed(why=f"{names} changed while it ran", reasons=end.reasons, detail=detail, partial=partial, run=run)

    def _verified(self, end: Ended, run: Run) -> Verified:
        lock = end.judgement.lock
        recorded = lock.outputs if lock is not None else {}
        differing = tuple(path for path, entry in run.outputs.items() if recorded.get(path) != entry)
        if differing:  # kept for a look at it, but not what the key stands for
            run = replace(run, tainted=tuple(f"{path} differs from the record" for path in differing))
        self.world.store.runs.add(run)
        self.world.workspace.roll_back(end.inflight)
        return Verified(run=run, differing=differing)

    def changed_meanwhile(self, judgement: Judgement) -> list[str]:
        """Name inputs and code that are not what they were when the key was taken: by digest, size and times.

        A file that was changed and changed back has its old digest and a new ctime: what the step read is not known.
        A folder's times also change when something is written beside the inputs in it; so where only folders differ,
        the step is observed again, and what counts is whether its recipe still says the same.
        """
        step = judgement.observation.step
        outputs = [output.path for output in step.outputs]
        view = self.judge.look.view
        changed = [p for p in view.changed(judgement.observation.witness) if not _is_inside(p, outputs)]
        files = [path for path in changed if not view.is_folder(path)]
        if files or not changed:
            return files
        now = self.world.look().observer.observe(step, produced={}, unsettled={}).recipe.parts
        before = judgement.observation.recipe.parts
        differing = (part for part in sorted(before.keys() | now.keys()) if before.get(part) != now.get(part))
        return [part.partition(":")[2] for part in differing]

    def _keep_input_trees(self, judgement: Judgement) -> None:
        """Store the trees of folder inputs again where a collector took them while nothing named them yet."""
        for name, part in judgement.observation.recipe.parts.items():
            is_folder = isinstance(part, dict) and part.get("mode") == Kind.DIRECTORY.value
            if is_folder and not self.world.store.objects.has(Digest.parse(part["digest"])):  # type: ignore[index]
                self.judge.look.view.seen(name.removeprefix("input:"), {})

    def write_lock(self, judgement: Judgement, run: Run) -> None:
        """Record a run's outputs for the judgement's key, unless that is what the lock says."""
        step = judgement.observation.step
        subpaths, globs = inside_outputs(step, self.readers.get(step.id, frozenset()), self.judge.look.view)
        lock = LockEntry(
            key=judgement.observation.key,
            recipe=judgement.observation.recipe,
            outputs=run.outputs,
            subpaths=subpaths,
            globs=globs,
            metrics=run.metrics,
            accepted=run.accepted,
        )
        if lock != judgement.lock or judgement.renamed_from is not None or judgement.conflicted:
            self.world.locks.write(step, lock)

    def _tail(self, end: Ended) -> tuple[str, ...]:
        """Give the last lines of a failed step's log, without secrets."""
        with open(end.log_path, "rb") as file:
            file.seek(max(0, os.path.getsize(end.log_path) - _TAIL_BYTES))
            data = without_secrets(file.read(), end.judgement.observation.step, self.world.environ)
        return tuple(data.decode("utf-8", "replace").splitlines()[-_TAIL_LINES:])


def _how_it_ended(step: Step, ended: Execution, *, stopped: bool) -> str:
    if stopped:
        return "interrupted"
    if ended.timed_out:
        return f"timed out after {step.timeout:g} s"
    tries = f" after {ended.attempts} attempts" if ended.attempts > 1 else ""
    return f"exit {ended.code}{tries}"


def _is_inside(path: str, outputs: Sequence[str]) -> bool:
    return any(path == output or path.startswith(output + "/") for output in outputs)
