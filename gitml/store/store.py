"""The local cache as one value: objects and runs under one root."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import NamedTuple

from gitml.errors import DamagedError
from gitml.model.digest import Digest
from gitml.model.run import Run
from gitml.model.tree import Entry
from gitml.store.checkout import objects_of
from gitml.store.lease import Lease
from gitml.store.objects import ObjectStore
from gitml.store.runs import RunStore


class Store(NamedTuple):
    """Objects and runs, written in the order blobs, trees, run; read the other way.

    `lease`: held by whoever writes, from the first blob to the lock or pointer. `links`: how worktree files may share
    bytes with objects (`reflink`, `hardlink`, `symlink`, `copy`), in order of preference.
    """

    objects: ObjectStore
    runs: RunStore
    lease: Lease
    links: tuple[str, ...] = ("reflink", "copy")

    @classmethod
    def at(cls, root: str, *, user: str | None = None) -> Store:
        """Give the store below a folder, which need not exist yet; `user`: see `Lease`, where the cache is shared."""
        return cls(objects=ObjectStore(root), runs=RunStore(root), lease=Lease(root, user=user))

    def holds(self, outputs: Mapping[str, Entry]) -> bool:
        """Tell whether all that these entries name can be had."""
        try:
            return all(objects_of(self.objects, entry) is None for entry in outputs.values())
        except DamagedError:
            return False

    def servable(
        self, key: Digest, *, declared: Set[str], preferred: Mapping[str, Entry], present: Mapping[str, Entry]
    ) -> Run | None:
        """Find a run whose outputs may stand for a key.

        A cache may be shared: a record that names other outputs than are `declared` is not served, since it would
        be written over files that no step owns.
        Among several, the one with the `preferred` outputs (those that the lock names), else the newest. An output
        that is not stored still counts when the worktree has it (`present`).
        """
        candidates = [run for run in self.runs.of_key(key) if run.servable and run.outputs.keys() == declared]
        candidates.sort(key=lambda run: run.outputs == preferred, reverse=True)
        for run in candidates:
            lacking = {path: entry for path, entry in run.outputs.items() if present.get(path) != entry}
            if self.holds(lacking):
                return run
        return None
