from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gitml.engine.decide import Facts, OutputState, decide
from gitml.hashing.key import key_of
from gitml.model.decision import (
    Always,
    Execute,
    Forced,
    InputMissing,
    Keep,
    NeverRun,
    OutputChanged,
    OutputMissing,
    PartAdded,
    PartChanged,
    PartRemoved,
    Restore,
    Unknown,
)
from gitml.model.lock import LockEntry
from gitml.model.recipe import Recipe
from gitml.model.run import Run
from gitml.model.step import Step

STEP = Step(id="a", name="a")
PARTS: dict[str, object] = {"command": "x", "param:lr": 1, "input:d": "d1"}
SAME, MISSING, CHANGED = OutputState.SAME, OutputState.MISSING, OutputState.CHANGED


def locked(parts: Mapping[str, object] = PARTS) -> LockEntry:
    recipe = Recipe(parts=parts)
    return LockEntry(key=key_of(recipe), recipe=recipe, outputs={})


def facts(parts: Mapping[str, object] = PARTS, **rest: Any) -> Facts:
    recipe = Recipe(parts=parts)
    return Facts(**{"recipe": recipe, "key": key_of(recipe), "outputs": {"o": SAME}, "lock": locked(), **rest})


RUN = Run(id="r", step="a", key=locked().key, recipe=Recipe(parts=PARTS), outputs={})


def test_a_step_that_was_never_run_is_executed() -> None:
    assert decide(STEP, facts(lock=None, outputs={})) == Execute((NeverRun(),))


def test_a_step_of_the_same_key_and_outputs_is_kept() -> None:
    assert decide(STEP, facts()) == Keep()


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({**PARTS, "param:lr": 2}, PartChanged("param:lr", 1, 2)),
        ({**PARTS, "param:lr": 1.0}, PartChanged("param:lr", 1, 1.0)),
        ({**PARTS, "param:lr": True}, PartChanged("param:lr", 1, True)),
        ({**PARTS, "code:x": "c"}, PartAdded("code:x")),
        ({"command": "x", "input:d": "d1"}, PartRemoved("param:lr")),
    ],
)
def test_each_part_is_a_reason(parts: dict[str, object], reason: object) -> None:
    assert decide(STEP, facts(parts)) == Execute((reason,))  # type: ignore[arg-type]


@pytest.mark.parametrize(("state", "reason"), [(MISSING, OutputMissing("o")), (CHANGED, OutputChanged("o"))])
def test_an_output_that_is_not_as_recorded_is_restored_or_made(state: OutputState, reason: Any) -> None:
    assert decide(STEP, facts(outputs={"o": state}, run=RUN)) == Restore(RUN, (reason,))
    assert decide(STEP, facts(outputs={"o": state})) == Execute((reason,))


def test_a_key_that_is_in_the_store_is_restored() -> None:
    assert isinstance(decide(STEP, facts({**PARTS, "param:lr": 2}, run=RUN)), Restore)


def test_force_outranks_everything() -> None:
    assert decide(STEP, facts(run=RUN), force=True) == Execute((Forced(),))
    frozen = Step(id="a", name="a", frozen=True)
    assert decide(frozen, facts(), force=True) == Execute((Forced(),))


def test_always_is_executed_though_the_store_has_it() -> None:
    always = Step(id="a", name="a", always=True)
    assert decide(always, facts(run=RUN)) == Execute((Always(),))


def test_frozen_is_kept_and_marked() -> None:
    frozen = Step(id="a", name="a", frozen=True)
    assert decide(frozen, facts({**PARTS, "param:lr": 2}, run=RUN)) == Keep(frozen=True)
    assert decide(frozen, facts()) == Keep()
    assert decide(frozen, facts(outputs={"o": CHANGED}, run=RUN)) == Keep(frozen=True)
    assert decide(frozen, facts(lock=None, outputs={})) == Execute((NeverRun(),))


def test_frozen_outputs_that_are_gone_come_back_as_recorded() -> None:
    frozen = Step(id="a", name="a", frozen=True)
    assert decide(frozen, facts(outputs={"o": MISSING}, run=RUN)) == Restore(RUN, (OutputMissing("o"),))


def test_what_waits_for_another_step_is_unknown() -> None:
    parts = {name: part for name, part in PARTS.items() if name != "input:d"}
    assert decide(STEP, facts(parts, unsettled=("up",))) == Unknown(("up",))


def test_its_own_changes_outrank_what_it_waits_for() -> None:
    decision = decide(STEP, facts({"command": "y", "param:lr": 1}, unsettled=("up",), run=RUN))
    assert decision == Execute((PartChanged("command", "x", "y"),))


def test_a_missing_input_is_never_restored_over() -> None:
    parts = {name: part for name, part in PARTS.items() if name != "input:d"}
    assert decide(STEP, facts(parts, missing=("d",), run=RUN)) == Execute((InputMissing("d"),))


def test_a_difference_that_no_part_shows_is_still_one() -> None:
    lock = LockEntry(key=key_of(Recipe(parts={})), recipe=Recipe(parts=PARTS), outputs={})
    decision = decide(STEP, facts(lock=lock))
    assert isinstance(decision, Execute) and isinstance(decision.reasons[0], PartChanged)


def test_reasons_come_with_what_the_user_edits_first() -> None:
    parts = {"output:b": "output", "input:d": "d2", "param:lr": 2, "command": "y", "env:E": "e", "code:c": "c"}
    decision = decide(STEP, facts(parts))
    assert isinstance(decision, Execute)
    kinds = [reason.part.partition(":")[0] for reason in decision.reasons]  # type: ignore[union-attr]
    assert kinds == ["command", "code", "param", "env", "input", "output"]
