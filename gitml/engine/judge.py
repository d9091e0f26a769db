"""Observe a step and decide about it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import NamedTuple

from gitml.engine.decide import Facts, OutputState, decide
from gitml.engine.observe import Observation
from gitml.engine.witness import Witness, Witnessed
from gitml.engine.world import Look, World
from gitml.manifest.lockfile import lock_path
from gitml.model.decision import Decision
from gitml.model.lock import LockEntry
from gitml.model.step import Step
from gitml.model.tree import Entry


class Judgement(NamedTuple):
    """A decision with what it rests on. `renamed_from`: the orphaned lock (its path) that counts for the step."""

    observation: Observation
    facts: Facts
    decision: Decision
    witness: Witnessed
    renamed_from: str | None = None
    conflicted: bool = False

    @property
    def lock(self) -> LockEntry | None:
        """Give the lock that the decision compared with."""
        return self.facts.lock


class Upstream(NamedTuple):
    """What is known of the outputs of upstream steps; see `Observer.observe`."""

    produced: Mapping[str, Entry]
    unsettled: Mapping[str, str]


NOTHING_OPEN = Upstream(produced={}, unsettled={})


class Judge:
    """Judges steps of a world in one look at it; remembers the orphaned locks."""

    def __init__(self, world: World, look: Look) -> None:
        self.world = world
        self.look = look
        self._orphans: dict[str, LockEntry] | None = None
        self._guard = threading.Lock()

    def judge(self, step: Step, upstream: Upstream = NOTHING_OPEN, *, force: bool = False) -> Judgement:
        """Decide about a step.

        Raises:
            GitmlError: Its lock is damaged or of a newer format, or its files cannot be observed.
        """
        with self._guard:  # the import graph is shared by the loop and its workers
            observation = self.look.observer.observe(step, produced=upstream.produced, unsettled=upstream.unsettled)
        lock, conflicted = self.world.locks.look(step)
        renamed = None
        if lock is None and not conflicted and not observation.unsettled:
            renamed, lock = self._renamed(observation)
        return self._decided(observation, lock, renamed, conflicted=conflicted, force=force)

    def again(self, before: Judgement, *, force: bool) -> Judgement:
        """Decide once more on the same observation: another process may have written the lock or a run meanwhile."""
        lock, conflicted = self.world.locks.look(before.observation.step)
        if lock is None and before.renamed_from is not None:
            lock = before.lock
        return self._decided(before.observation, lock, before.renamed_from, conflicted=conflicted, force=force)

    def _decided(
        self, observation: Observation, lock: LockEntry | None, renamed: str | None, *, conflicted: bool, force: bool
    ) -> Judgement:
        step = observation.step
        witness: Witness = dict(observation.witness)
        self.look.view.stat(lock_path(step), witness)
        outputs = self.world.workspace.compare(lock.outputs, witness) if lock is not None else {}
        facts = Facts(
            recipe=observation.recipe,
            key=observation.key,
            missing=observation.missing,
            unsettled=observation.unsettled,
            lock=lock,
            outputs=outputs,
        )
        if _is_stale(step, facts):
            facts = self._with_run(step, facts)
        decision = decide(step, facts, force=force)
        return Judgement(
            observation=observation,
            facts=facts,
            decision=decision,
            witness=witness,
            renamed_from=renamed,
            conflicted=conflicted,
        )

    def _with_run(self, step: Step, facts: Facts) -> Facts:
        """Look for a run of the key, or, for a frozen step, of the key that its lock names."""
        recorded = facts.lock.outputs if facts.lock is not None else {}
        key = facts.lock.key if step.frozen and facts.lock is not None else facts.key
        present = {path: entry for path, entry in recorded.items() if facts.outputs.get(path) is OutputState.SAME}
        declared = frozenset(recorded) if key != facts.key else frozenset(output.path for output in step.outputs)
        run = self.world.store.servable(key, declared=declared, preferred=recorded, present=present)
        return facts._replace(run=run)

    def _renamed(self, observation: Observation) -> tuple[str | None, LockEntry | None]:
        if self._orphans is None:
            self._orphans = self.world.locks.orphans(dict(self.world.pipeline.steps))
        for path, lock in self._orphans.items():
            if lock.key == observation.key:
                return path, lock
        return None, None


def _is_stale(step: Step, facts: Facts) -> bool:
    if facts.unsettled or facts.missing:
        return False
    if facts.lock is None or facts.lock.key != facts.key or step.always:
        return True
    return any(state is not OutputState.SAME for state in facts.outputs.values())
