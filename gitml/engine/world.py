"""What the loop works on: one project in one worktree, with its store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from gitml.engine.locks import Locks
from gitml.engine.observe import Observer
from gitml.engine.workspace import Workspace
from gitml.engine.worktree import WorktreeView
from gitml.git.index import HeldFiles
from gitml.model.pipeline import Pipeline
from gitml.store.claims import Claims
from gitml.store.store import Store


class World(NamedTuple):
    """The parts that observing, deciding and acting share.

    `root`: the project's folder. `machine`: `$GIT_DIR/gitml`. `paths` and `keys`: claims of output paths and of keys.
    `look` takes a picture of the present moment, which is used until a file that was looked at changes under it.
    """

    root: str
    machine: str
    environ: Mapping[str, str]
    pipeline: Pipeline
    store: Store
    locks: Locks
    workspace: Workspace
    paths: Claims
    keys: Claims
    look: Callable[[], Look]


class Look(NamedTuple):
    """One picture of the worktree: what Git holds does not change within it."""

    held: HeldFiles
    view: WorktreeView
    observer: Observer
