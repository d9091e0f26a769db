"""What an execution that died has left, and how the next holder of its claims deals with it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from gitml.engine.decide import OutputState
from gitml.engine.judge import Judgement
from gitml.engine.workspace import Inflight, Workspace
from gitml.engine.world import World
from gitml.model.tree import Entry


def new_run_id() -> str:
    """Make an id that sorts by time and is unique without asking anyone."""
    now = time.time()
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now))
    return f"{stamp}{int(now % 1 * 1000):03d}Z-{os.urandom(4).hex()}"


def left_behind(workspace: Workspace, left_by: Mapping[str, object] | None) -> Inflight | None:
    """Tell what a dead holder was at: by its journal, or by the text of its claim where nothing stood in its way."""
    match left_by:
        case {"run": str(run), "step": str(step), "outputs": list(outputs), "key": str() | None as key}:
            return Inflight(id=run, step=step, outputs=tuple(map(str, outputs)), key=key)
        case {"run": str(run)}:
            return workspace.read_inflight(run)
    return None


def settle_inflight(world: World, inflight: Inflight) -> None:
    """Finish an execution whose process died: done when the lock names the outputs that stand there, else undone."""
    step = world.pipeline.steps.get(inflight.step)
    lock = world.locks.look(step)[0] if step is not None else None
    if lock is not None and set(inflight.outputs) <= set(lock.outputs):
        states = world.workspace.compare({path: lock.outputs[path] for path in inflight.outputs})
        if all(state is OutputState.SAME for state in states.values()):
            world.workspace.commit(inflight)
            return
    world.workspace.roll_back(inflight)


def kept_elsewhere(judgement: Judgement) -> dict[str, Entry]:
    """Give the recorded outputs whose bytes the store need not have: Git's, and those that are kept nowhere."""
    if judgement.lock is None:
        return {}
    recorded = judgement.lock.outputs
    declared = judgement.observation.step.outputs
    return {o.path: recorded[o.path] for o in declared if (o.git or not o.cache) and o.path in recorded}
