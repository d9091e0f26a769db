"""Lock files in the worktree."""

from __future__ import annotations

import os

from gitml.engine.committed import CommittedFiles
from gitml.manifest.lockfile import (
    FOLDER,
    MAX_BYTES,
    ConflictedLockError,
    LockFileError,
    decode_lock,
    encode_lock,
    lock_path,
)
from gitml.model.lock import LockEntry
from gitml.model.step import Step


class Locks:
    """The locks of the project at `root`. `tmp` is a folder for half-written files, outside the worktree."""

    def __init__(self, root: str, tmp: str) -> None:
        self._root = root
        self._files = CommittedFiles(root, tmp, noun="lock", largest=MAX_BYTES, refusal=LockFileError)

    def read(self, step: Step) -> LockEntry | None:
        """Read a step's lock; None when it has none.

        Raises:
            LockFileError: It cannot be read as a lock, or is of a newer format, or conflicted.
        """
        return self._read(lock_path(step))

    def look(self, step: Step) -> tuple[LockEntry | None, bool]:
        """Read a step's lock, and tell whether a merge left conflict markers in it: running the step resolves that."""
        try:
            return self.read(step), False
        except ConflictedLockError:
            return None, True

    def write(self, step: Step, lock: LockEntry) -> None:
        """Replace a step's lock whole. A link below the project's root is never followed."""
        self._files.write(lock_path(step), encode_lock(lock))

    def remove(self, path: str) -> None:
        """Delete a lock file, by its path relative to the project."""
        self._files.remove(path)

    def orphans(self, steps: dict[str, Step]) -> dict[str, LockEntry]:
        """Read the locks that belong to no declared step (it was renamed or removed), by path."""
        declared = {lock_path(step) for step in steps.values()}
        found = {}
        for path in self._all():
            if path not in declared:
                try:
                    lock = self._read(path)
                except LockFileError:
                    continue  # a step that is no longer declared judges nothing
                if lock is not None:
                    found[path] = lock
        return found

    def _all(self) -> list[str]:
        paths: list[str] = []
        for folder, _, names in os.walk(os.path.join(self._root, FOLDER)):
            inside = os.path.relpath(folder, self._root)
            paths.extend(f"{inside}/{name}" for name in names if name.endswith(".json"))
        return sorted(paths)

    def _read(self, path: str) -> LockEntry | None:
        data = self._files.read(path)
        return None if data is None else decode_lock(path, data)
