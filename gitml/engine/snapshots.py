"""The commit that a run names: taken once, and again only when what it should hold has changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from gitml.engine.witness import Stood, Witnessed
from gitml.git.head import head
from gitml.git.index import HeldFiles
from gitml.git.snapshot import snapshot
from gitml.hashing.file import StatSignature

_GOOD_FOR_NS = 2_000_000_000
_TICK_NS = 10_000_000
"""A file changed in the same tick of the file system's clock may or may not be in the snapshot: 10 ms at most."""


class Snapshots:
    """Gives the snapshot commit for what a step is about to run from.

    Asking Git costs 10 to 30 ms, more than a trivial step. So a snapshot is used again for at most two seconds, and
    only while every Git-held file that the step looked at was last changed before it was taken: the files that the step
    is known to use are exact, others at most that old.
    """

    def __init__(self, held: HeldFiles, *, exclude: str) -> None:
        self.held = held
        self._exclude = exclude
        self._guard = threading.Lock()
        self._oid = ""
        self._taken_ns = 0
        self._included: set[str] = set()

    def take(self, witness: Witnessed, code: Iterable[str]) -> tuple[str, str | None]:
        """Give the commit's id and the branch; `code` names the files to include where Git does not track them."""
        with self._guard:
            untracked = {
                path for path in code if path not in self.held.tracked and self.held.submodule_of(path) is None
            }
            used = [stat for path, stat in witness.items() if path in self.held.tracked or path in untracked]
            if not self._is_good(used, untracked):
                self._included |= untracked
                taken_ns = time.time_ns() - _TICK_NS
                include = [self.held.in_worktree(path) for path in sorted(self._included)]
                self._oid = snapshot(self.held.git, include=include, exclude_prefixes=[self._exclude])
                self._taken_ns = taken_ns
            return self._oid, head(self.held.git).branch

    def _is_good(self, used: Iterable[Stood], untracked: set[str]) -> bool:
        if not self._oid or time.time_ns() - self._taken_ns > _GOOD_FOR_NS or not untracked <= self._included:
            return False
        return all(isinstance(stat, StatSignature) and stat.ctime_ns < self._taken_ns for stat in used)
