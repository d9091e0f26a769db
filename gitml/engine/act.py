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
from gitml.engine.conclude import Ended, Recorder
from gitml.engine.decide import OutputState
from gitml.engine.execute import Execution, Running, Surroundings, environment, execute, params_document
from gitml.engine.judge import Judge, Judgement
from gitml.engine.logs import LogFiles
from gitml.engine.outcome import Busy, Failed, Kept, Outcome, Restored
from gitml.engine.recovery import kept_elsewhere, left_behind, new_run_id, settle_inflight
from gitml.engine.redact import without_secrets
from gitml.engine.resources import Grant
from gitml.engine.snapshots import Snapshots
from gitml.engine.subpaths import declared_by_readers
from gitml.engine.workspace import Inflight
from gitml.engine.world import World
from gitml.manifest.lockfile import FOLDER
from gitml.model.decision import Execute, Keep, Reason, Restore
from gitml.model.digest import Digest
from gitml.model.run import Run
from gitml.model.step import Step
from gitml.model.tree import Entry
from gitml.model.value import to_json
from gitml.store.atomic import write_atomically
from gitml.store.claims import Claim, Claims


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
                self._recorder().write_lock(judgement, run)
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
                    end = Ended(judgement, wanted.verify, reasons, inflight, ended, run, log.path)
                    return self._recorder().conclude(end)

    def _snapshot(self, judgement: Judgement) -> tuple[str, str | None]:
        """Name the commit that the step runs from; a new look at the worktree starts with a new snapshot."""
        look = self._judge.look
        with self._guard:
            if self._snapshots is None or self._snapshots.held is not look.held:
                self._snapshots = Snapshots(look.held, exclude=look.held.in_worktree(FOLDER))
            snapshots = self._snapshots
        return snapshots.take(judgement.observation.witness, judgement.observation.discovery.found)

    def _recorder(self) -> Recorder:
        return Recorder(self._world, self._judge, self._readers, self._running.stopping)

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


def _describe(holder: Mapping[str, object] | None, here: str) -> str:
    if not holder:
        return "another process"
    where = "" if holder.get("host") == here else f" on {holder.get('host')}"
    return f"process {holder.get('pid')}{where} (step {holder.get('step')})"
