"""Carry out a decision about one step: take its claims, look again, then keep, restore or execute, and record."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from gitml.engine.card import Environment
from gitml.engine.decide import OutputState
from gitml.engine.execute import Execution, Running, Surroundings, environment, execute, params_document
from gitml.engine.judge import Judge, Judgement
from gitml.engine.logs import LogFiles
from gitml.engine.metrics import metrics_of
from gitml.engine.outcome import Busy, Executed, Failed, Kept, Outcome, Restored, Verified
from gitml.engine.recovery import kept_elsewhere, left_behind, new_run_id, settle_inflight
from gitml.engine.redact import without_secrets
from gitml.engine.resources import Grant
from gitml.engine.snapshots import Snapshots
from gitml.engine.subpaths import declared_by_readers, inside_outputs
from gitml.engine.workspace import Inflight
from gitml.engine.world import World
from gitml.errors import GitmlError
from gitml.manifest.lockfile import FOLDER
from gitml.model.decision import Execute, Keep, Reason, Restore
from gitml.model.digest import Digest
from gitml.model.lock import LockEntry
from gitml.model.run import Run
from gitml.model.step import Step
from gitml.model.tree import Entry, Kind
from gitml.model.value import to_json
from gitml.store.atomic import write_atomically
from gitml.store.claims import Claim, Claims

_TAIL_LINES = 20
_TAIL_BYTES = 16 << 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Act:
    """What is to be done: the judgement to begin with and what the user asked for."""

    judgement: Judgement
    grant: Grant | None = None
    force: bool = False
    verify: bool = False


class Actor:
    """Acts in one world. `log_started` is told a step and the path of its log when its commands start."""

    def __init__(
        self,
        world: World,
        judge: Judge,
        running: Running,
        facts: Environment,
        *,
        log_started: Callable[[Step, str], None] = lambda step, path: None,
    ) -> None:
        self._world = world
        self._judge = judge
        self._running = running
        self._facts = facts
        self._log_started = log_started
        self._host = socket.gethostname()
        self._logs = LogFiles(os.path.join(world.machine, "logs"))
        self._guard = threading.Lock()
        self._snapshots: Snapshots | None = None
        self._readers = declared_by_readers(world.pipeline)

    def act(self, wanted: Act) -> Outcome:
        """Do what is right for the step now, which may be less than was judged before its claims were held.

        Raises:
            GitmlError: A file cannot be observed or stored; the previous outputs are in place.
            OSError: The same, by the operating system's word.
        """
        step = wanted.judgement.observation.step
        with contextlib.ExitStack() as held:
            claims: list[Claim] = []
            for output in step.outputs:
                claim = self._claim(self._world.paths, f"{self._world.root}\0{output.path}", step, held)
                if isinstance(claim, Busy):
                    return claim
                claims.append(claim)
            self._recover(claims)
            judgement = self._judge_again(wanted)
            has_key = False
            while True:
                if isinstance(judgement.decision, Restore) and not wanted.verify:
                    outcome, judgement = self._restore_if_stored(judgement, claims)
                    if outcome is not None:
                        return outcome
                if has_key or not (isinstance(judgement.decision, Execute) or wanted.verify):
                    return self._do(replace(wanted, judgement=judgement), claims)
                claim = self._claim(self._world.keys, judgement.observation.key, step, held)
                if isinstance(claim, Busy):
                    return claim
                claims.append(claim)
                has_key = True
                judgement = self._judge.again(judgement, force=wanted.force)

    def close(self) -> None:
        """Delete what served the commands while they ran."""
        self._logs.close()

    def _do(self, wanted: Act, claims: Sequence[Claim]) -> Outcome:
        decision = wanted.judgement.decision
        if wanted.verify:
            return _not_comparable(wanted.judgement) or self._execute(wanted, (), claims)
        if isinstance(decision, Keep):
            return self._keep(wanted.judgement, decision)
        if isinstance(decision, Execute):
            if wanted.judgement.facts.missing:
                return _missing(wanted.judgement, decision.reasons)
            cwd = wanted.judgement.observation.step.cwd
            if not os.path.isdir(os.path.join(self._world.root, cwd)):
                return Failed(why=f"its cwd {cwd} is not a folder", reasons=decision.reasons)
            return self._execute(wanted, decision.reasons, claims)
        raise AssertionError(decision)

    def _keep(self, judgement: Judgement, decision: Keep) -> Outcome:
        if judgement.renamed_from is not None and judgement.lock is not None:
            with self._world.store.lease.writing():  # a collector may list the folder between the two
                self._world.locks.write(judgement.observation.step, judgement.lock)
                with contextlib.suppress(FileNotFoundError):
                    self._world.locks.remove(judgement.renamed_from)
        return Kept(frozen=decision.frozen, renamed=judgement.renamed_from is not None)

    def _restore_if_stored(self, judgement: Judgement, claims: Sequence[Claim]) -> tuple[Restored | None, Judgement]:
        """Restore while no collector can delete what was found to be stored; else give what is to be done instead."""
        with self._world.store.lease.writing():
            judgement = self._judge.again(judgement, force=False)
            if isinstance(judgement.decision, Restore):
                return self._restore(judgement, judgement.decision, claims), judgement
        return None, judgement

    def _restore(self, judgement: Judgement, decision: Restore, claims: Sequence[Claim]) -> Restored:
        step, run = judgement.observation.step, decision.run
        workspace = self._world.workspace
        states = workspace.compare(run.outputs)
        wanted = {path: run.outputs[path] for path, state in states.items() if state is not OutputState.SAME}
        intent = Inflight(id=new_run_id(), step=step.id, outputs=tuple(wanted))
        self._sign(claims, intent)
        inflight = self._set_aside(intent, kept_elsewhere(judgement), claims)
        with self._undone_on_error(inflight):
            workspace.restore(wanted)
            if run.key == judgement.observation.key:  # else the step is frozen, and its lock stays as it is
                self._write_lock(judgement, run)
        return Restored(run=run, reasons=decision.reasons, rescued=tuple(workspace.commit(inflight)))

    def _execute(self, wanted: Act, reasons: tuple[Reason, ...], claims: Sequence[Claim]) -> Outcome:
        judgement = wanted.judgement
        step = judgement.observation.step
        key = judgement.observation.key
        intent = Inflight(id=new_run_id(), step=step.id, outputs=tuple(o.path for o in step.outputs), key=key)
        self._sign(claims, intent)
        workspace = self._world.workspace
        snapshot, branch = self._snapshot(judgement)
        with self._logs.take() as log, self._params_file(step, intent.id) as params:
            inflight = self._set_aside(intent, kept_elsewhere(judgement), claims)
            with self._undone_on_error(inflight):
                workspace.make_parents(step.outputs)
                workspace.hand_over(step.id, key, [output.path for output in step.outputs if output.resume])
                self._log_started(step, log.path)
                around = Surroundings(
                    cwd=os.path.join(self._world.root, step.cwd),
                    environ=environment(self._world.environ, step, params_file=params, grant=wanted.grant),
                    log=log.descriptor,
                    inherit=[claim.descriptor for claim in claims],
                )
                ended = execute(step, around, self._running, between=lambda: self._clear(step))
                run = self._card(judgement, intent.id, ended, snapshot, branch)
                with self._world.store.lease.writing():
                    kept = self._keep_log(step, log.path)
                    run = replace(run, gpus=wanted.grant.gpus if wanted.grant else (), log=kept)
                    return self._conclude(_Ended(wanted, reasons, inflight, ended, run, log.path))

    def _snapshot(self, judgement: Judgement) -> tuple[str, str | None]:
        """Name the commit that the step runs from; a new look at the worktree starts with a new snapshot."""
        look = self._judge.look
        with self._guard:
            if self._snapshots is None or self._snapshots.held is not look.held:
                self._snapshots = Snapshots(look.held, exclude=look.held.in_worktree(FOLDER))
            snapshots = self._snapshots
        return snapshots.take(judgement.observation.witness, judgement.observation.discovery.found)

    def _conclude(self, end: _Ended) -> Outcome:
        """Take the outputs over, or undo, after the commands have ended."""
        step = end.wanted.judgement.observation.step
        if end.execution.code != 0 or end.execution.timed_out:
            why = _how_it_ended(step, end.execution, stopped=self._running.stopping.is_set())
            return self._fail(end, replace(end.run, exit_code=end.execution.code or 124), why)
        outputs: dict[str, Entry] = {}
        for output in step.outputs:
            try:
                entry = self._world.workspace.ingest(output)
            except GitmlError as error:
                return self._fail(end, replace(end.run, exit_code=1), error.message, hint=error.hint)
            if entry is None:
                return self._fail(end, replace(end.run, exit_code=1), f"output {output.path} was not written")
            outputs[output.path] = entry
        metrics, unread = metrics_of(self._world.root, step)
        run = replace(end.run, outputs=outputs, metrics=metrics)
        tainted = self._changed_meanwhile(end.wanted.judgement)
        if tainted:
            return self._taint(end, replace(run, tainted=tuple(tainted)))
        if end.wanted.verify:
            return self._verified(end, run)
        self._keep_input_trees(end.wanted.judgement)
        self._world.store.runs.add(run)
        self._write_lock(end.wanted.judgement, run)
        rescued = tuple(self._world.workspace.commit(end.inflight))
        return Executed(run=run, reasons=end.reasons, rescued=rescued, unread=unread)

    def _fail(self, end: _Ended, run: Run, why: str, *, hint: str | None = None) -> Failed:
        self._world.store.runs.add(run)
        partial = self._world.workspace.roll_back(end.inflight)
        detail = (hint,) if hint else ()
        return Failed(why=why, reasons=end.reasons, detail=detail, partial=partial, tail=self._tail(end), run=run)

    def _taint(self, end: _Ended, run: Run) -> Failed:
        self._world.store.runs.add(run)
        partial = self._world.workspace.roll_back(end.inflight)
        names = ", ".join(run.tainted)
        detail = (
            f"the result is kept as run {run.id}; if the change does not matter: gitml accept {run.id} --reason …",
        )
        return Failed(why=f"{names} changed while it ran", reasons=end.reasons, detail=detail, partial=partial, run=run)

    def _verified(self, end: _Ended, run: Run) -> Verified:
        lock = end.wanted.judgement.lock
        recorded = lock.outputs if lock is not None else {}
        differing = tuple(path for path, entry in run.outputs.items() if recorded.get(path) != entry)
        if differing:  # kept for a look at it, but not what the key stands for
            run = replace(run, tainted=tuple(f"{path} differs from the record" for path in differing))
        self._world.store.runs.add(run)
        self._world.workspace.roll_back(end.inflight)
        return Verified(run=run, differing=differing)

    def _changed_meanwhile(self, judgement: Judgement) -> list[str]:
        """Name inputs and code that are not what they were when the key was taken: by digest, size and times.

        A file that was changed and changed back has its old digest and a new ctime: what the step read is not known.
        A folder's times also change when something is written beside the inputs in it; so where only folders differ,
        the step is observed again, and what counts is whether its recipe still says the same.
        """
        step = judgement.observation.step
        outputs = [output.path for output in step.outputs]
        view = self._judge.look.view
        changed = [p for p in view.changed(judgement.observation.witness) if not _is_inside(p, outputs)]
        files = [path for path in changed if not view.is_folder(path)]
        if files or not changed:
            return files
        now = self._world.look().observer.observe(step, produced={}, unsettled={}).recipe.parts
        before = judgement.observation.recipe.parts
        differing = (part for part in sorted(before.keys() | now.keys()) if before.get(part) != now.get(part))
        return [part.partition(":")[2] for part in differing]

    def _keep_input_trees(self, judgement: Judgement) -> None:
        """Store the trees of folder inputs again where a collector took them while nothing named them yet."""
        for name, part in judgement.observation.recipe.parts.items():
            is_folder = isinstance(part, dict) and part.get("mode") == Kind.DIRECTORY.value
            if is_folder and not self._world.store.objects.has(Digest.parse(part["digest"])):  # type: ignore[index]
                self._judge.look.view.seen(name.removeprefix("input:"), {})

    def _write_lock(self, judgement: Judgement, run: Run) -> None:
        step = judgement.observation.step
        subpaths, globs = inside_outputs(step, self._readers.get(step.id, frozenset()), self._judge.look.view)
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
            self._world.locks.write(step, lock)

    def _card(self, judgement: Judgement, run_id: str, ended: Execution, snapshot: str, branch: str | None) -> Run:
        step = judgement.observation.step
        return Run(
            id=run_id,
            step=step.id,
            key=judgement.observation.key,
            recipe=judgement.observation.recipe,
            outputs={},
            params={name: to_json(value) for name, value in step.params.items()},
            snapshot=snapshot,
            branch=branch,
            commands=tuple(c.text if c.text is not None else json.dumps(c.argv) for c in step.commands),
            started=ended.started,
            duration=ended.duration,
            cpu_seconds=ended.cpu_seconds,
            peak_memory=ended.peak_memory,
            exit_code=ended.code,
            attempts=ended.attempts,
            host=self._facts.host,
            user=self._facts.user,
            python=self._facts.python,
            packages=self._facts.packages,
            labels=step.labels,
        )

    def _judge_again(self, wanted: Act) -> Judgement:
        """Look again now that nobody else may touch the outputs: at everything, if anything moved meanwhile."""
        before = wanted.judgement
        if self._judge.look.view.changed(before.observation.witness):
            self._judge = Judge(self._world, self._world.look())
            return self._judge.judge(before.observation.step, force=wanted.force)
        return self._judge.again(before, force=wanted.force)

    def _recover(self, claims: Sequence[Claim]) -> None:
        """Finish or undo what a holder that died had begun with these outputs."""
        for claim in claims:
            inflight = left_behind(self._world.workspace, claim.left_by)
            if inflight is not None:
                settle_inflight(self._world, inflight)

    def _claim(self, claims: Claims, name: str, step: Step, held: contextlib.ExitStack) -> Claim | Busy:
        claim = claims.attempt(name)
        if claim is None:
            return Busy(holder=_describe(claims.holder(name), self._host))
        held.callback(claim.release)
        return claim

    def _set_aside(self, intent: Inflight, elsewhere: Mapping[str, Entry], claims: Sequence[Claim]) -> Inflight:
        """Clear the way for outputs; where nothing stood in it, say so in the claims, which spares a journal."""
        inflight = self._world.workspace.set_aside(intent, elsewhere)
        if not inflight.moves:
            self._sign(claims, intent, way_is_free=True)
        return inflight

    def _sign(self, claims: Sequence[Claim], intent: Inflight, *, way_is_free: bool = False) -> None:
        """Say in the claims who holds them, and once nothing stands at the outputs, that what comes there is ours.

        Not sooner: whoever finds the claims of a dead holder takes what stands at those outputs for its leavings.
        """
        holder: dict[str, object] = {"host": self._host, "pid": os.getpid(), "step": intent.step, "run": intent.id}
        if way_is_free:
            holder |= {"outputs": intent.outputs, "key": intent.key}
        for claim in claims:
            claim.sign(holder)

    @contextlib.contextmanager
    def _undone_on_error(self, inflight: Inflight) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._world.workspace.roll_back(inflight)
            raise

    def _keep_log(self, step: Step, path: str) -> Digest | None:
        if os.path.getsize(path) == 0:
            return None
        if not step.secrets:
            return self._world.store.objects.add_file(path).digest
        with open(path, "rb") as file:
            return self._world.store.objects.add_bytes(without_secrets(file.read(), step, self._world.environ))

    def _tail(self, end: _Ended) -> tuple[str, ...]:
        """Give the last lines of a failed step's log, without secrets."""
        with open(end.log_path, "rb") as file:
            file.seek(max(0, os.path.getsize(end.log_path) - _TAIL_BYTES))
            data = without_secrets(file.read(), end.wanted.judgement.observation.step, self._world.environ)
        return tuple(data.decode("utf-8", "replace").splitlines()[-_TAIL_LINES:])

    @contextlib.contextmanager
    def _params_file(self, step: Step, run_id: str) -> Iterator[str]:
        """Write the declared parameters; all steps that declare none share one empty table."""
        folder = os.path.join(self._world.machine, "params")
        path = os.path.join(folder, f"{run_id}.json" if step.params else "none.json")
        if step.params or not os.path.exists(path):
            write_atomically(path, params_document(step.params), tmp=os.path.join(self._world.machine, "tmp"))
        try:
            yield path
        finally:
            if step.params:
                os.unlink(path)

    def _clear(self, step: Step) -> None:
        """Clear away what a failed attempt left, but what the next one may resume from."""
        self._world.workspace.discard([output.path for output in step.outputs if not output.resume])


@dataclass(frozen=True, slots=True)
class _Ended:
    """An execution whose commands have ended, on the way to its record."""

    wanted: Act
    reasons: tuple[Reason, ...]
    inflight: Inflight
    execution: Execution
    run: Run
    log_path: str


def _not_comparable(judgement: Judgement) -> Failed | None:
    """Refuse to compare with outputs that were made from something else: they would differ, and rightly so."""
    lock, step = judgement.lock, judgement.observation.step
    if lock is not None and lock.key == judgement.observation.key:
        return None
    hint = f"bring it up to date first: gitml repro {step.id}"
    return Failed(why="nothing is recorded for what it would run from now", detail=(hint,))


def _missing(judgement: Judgement, reasons: tuple[Reason, ...]) -> Failed:
    names = ", ".join(judgement.facts.missing)
    return Failed(why=f"input {names} is missing", reasons=reasons)


def _how_it_ended(step: Step, ended: Execution, *, stopped: bool) -> str:
    if stopped:
        return "interrupted"
    if ended.timed_out:
        return f"timed out after {step.timeout:g} s"
    tries = f" after {ended.attempts} attempts" if ended.attempts > 1 else ""
    return f"exit {ended.code}{tries}"


def _describe(holder: Mapping[str, object] | None, here: str) -> str:
    if not holder:
        return "another process"
    where = "" if holder.get("host") == here else f" on {holder.get('host')}"
    return f"process {holder.get('pid')}{where} (step {holder.get('step')})"


def _is_inside(path: str, outputs: Sequence[str]) -> bool:
    return any(path == output or path.startswith(output + "/") for output in outputs)
