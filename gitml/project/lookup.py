"""From what a user types to a step or a run: names first, then ids of runs, then keys."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gitml.errors import UsageError
from gitml.model.digest import PREFIX
from gitml.model.pipeline import Pipeline
from gitml.model.run import Run
from gitml.project.select import named_steps
from gitml.store.store import Store

_ID_OR_KEY = re.compile(r"[0-9a-f]{3,64}|\d{4,8}(T\d{0,9}(Z(-[0-9a-f]*)?)?)?")
_LISTED = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """What a name means: steps (ids, of a family all), or one run."""

    steps: tuple[str, ...] = ()
    run: Run | None = None


def look_up(pipeline: Pipeline, store: Store, name: str) -> Named:
    """Find the steps or the run that a name means; a step's name is never taken for a run's.

    Raises:
        UsageError: It means nothing here, or several runs.
    """
    try:
        return Named(steps=named_steps(pipeline, [name]))
    except UsageError as unknown:
        text = name.removeprefix(PREFIX)
        if not _ID_OR_KEY.fullmatch(text):
            raise
        run = find_run(store, text)
        if run is None:
            raise UsageError(f"no step is named {name!r}, and no run or key begins so", hint=unknown.hint) from None
        return Named(run=run)


def find_run(store: Store, prefix: str) -> Run | None:
    """Find a run by the beginning of its id, or the run that best stands for a key by the beginning of that.

    Raises:
        UsageError: Several runs, or runs of several keys, begin so.
    """
    found = sorted(store.runs.find(prefix), key=lambda run: run.id)
    by_id = [run for run in found if run.id.startswith(prefix)]
    if len(by_id) == 1:
        return by_id[0]
    if not found:
        return None
    if by_id or len({run.key for run in found}) > 1:
        raise UsageError(f"{prefix!r} means {len(found)} runs", hint="one of " + _listed(found))
    return max(found, key=lambda run: (run.servable, run.id))


def latest_run(store: Store, step_id: str) -> Run | None:
    """Give the newest run of a step, however it ended."""
    return max((run for run in store.runs.all() if run.step == step_id), key=lambda run: run.id, default=None)


def _listed(runs: Sequence[Run]) -> str:
    more = ", …" if len(runs) > _LISTED else ""
    return ", ".join(f"{run.id} ({run.step})" for run in runs[-_LISTED:]) + more
