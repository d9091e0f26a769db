"""What to do about a step: a pure function of what was observed. No disk, clock or process here."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from gitml.engine.reasons import compare_parts
from gitml.model.decision import (
    Always,
    Decision,
    Execute,
    Forced,
    InputMissing,
    Keep,
    NeverRun,
    OutputChanged,
    OutputMissing,
    PartChanged,
    Reason,
    Restore,
    Unknown,
)
from gitml.model.digest import Digest
from gitml.model.lock import LockEntry
from gitml.model.recipe import Recipe
from gitml.model.run import Run
from gitml.model.step import Step


class OutputState(Enum):
    """How an output in the worktree compares with its record."""

    SAME = "same"
    MISSING = "missing"
    CHANGED = "changed"


class Facts(NamedTuple):
    """All that a decision rests on.

    `missing`: declared inputs that are not there. `unsettled`: upstream steps whose outputs are not known yet.
    `outputs`: the state of each output that the lock records. `run`: a run in the store whose outputs may stand.
    """

    recipe: Recipe
    key: Digest
    outputs: Mapping[str, OutputState]
    missing: tuple[str, ...] = ()
    unsettled: tuple[str, ...] = ()
    lock: LockEntry | None = None
    run: Run | None = None


def decide(step: Step, facts: Facts, *, force: bool = False) -> Decision:
    """Choose between keeping, restoring, executing and not knowing.

    What the step needs by itself outranks what its upstream steps may bring: a step whose code changed is stale
    whatever they do.
    """
    changes = staleness(step, facts)
    if step.frozen and not force and facts.lock is not None:
        return _frozen(facts, changes)
    if force:
        return Execute((Forced(), *changes))
    if facts.unsettled:
        own = tuple(reason for reason in changes if not isinstance(reason, InputMissing))
        return Execute(own) if own else Unknown(facts.unsettled)
    if not changes:
        return Keep()
    if step.always or facts.run is None or facts.missing:
        return Execute(changes)
    return Restore(facts.run, changes)


def staleness(step: Step, facts: Facts) -> tuple[Reason, ...]:
    """Name everything that keeps the step from being fresh; empty when it is."""
    found: list[Reason] = [InputMissing(path) for path in facts.missing]
    if facts.lock is None:
        found.append(NeverRun())
    else:
        if facts.lock.key != facts.key:
            found.extend(_recipe_changes(facts.lock, facts))
        found.extend(_output_changes(facts.outputs))
    if step.always:
        found.append(Always())
    return tuple(found)


def _frozen(facts: Facts, changes: tuple[Reason, ...]) -> Decision:
    """A frozen step is never executed; its recorded outputs are put back where they are gone."""
    gone = tuple(r for r in _output_changes(facts.outputs) if isinstance(r, OutputMissing))
    if gone and facts.run is not None and facts.lock is not None and facts.run.outputs == facts.lock.outputs:
        return Restore(facts.run, gone)
    return Keep(frozen=bool(changes))


def _recipe_changes(lock: LockEntry, facts: Facts) -> tuple[Reason, ...]:
    """Compare part by part, leaving out inputs that are missing (told already) or not known yet."""
    before, after = lock.recipe.parts, facts.recipe.parts
    if facts.unsettled or facts.missing:
        before = {name: value for name, value in before.items() if name in after or not name.startswith("input:")}
        return compare_parts(before, after)
    return compare_parts(before, after) or (PartChanged("key", str(lock.key), str(facts.key)),)


def _output_changes(outputs: Mapping[str, OutputState]) -> tuple[Reason, ...]:
    reasons: dict[OutputState, type[OutputMissing] | type[OutputChanged]] = {
        OutputState.MISSING: OutputMissing,
        OutputState.CHANGED: OutputChanged,
    }
    return tuple(reasons[state](path) for path, state in outputs.items() if state in reasons)
