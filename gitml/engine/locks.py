"""Lock files in the worktree."""

from __future__ import annotations

import errno
import itertools
import os
import stat

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
from gitml.model.path import parents
from gitml.model.step import Step
from gitml.store.beneath import parent_of

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe must not keep us waiting for a writer
_serial = itertools.count()


class Locks:
    """The locks of the project at `root`. `tmp` is a folder for half-written files, outside the worktree."""

    def __init__(self, root: str, tmp: str) -> None:
        self._root = root
        self._tmp = tmp
        self._real: set[str] = set()

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
        path = lock_path(step)
        data = encode_lock(lock)
        name_of_half = f"lock-{os.getpid()}-{next(_serial)}"
        with parent_of(self._root, path, create=True) as (parent, name):
            temporary = os.path.join(self._tmp, name_of_half)
            os.makedirs(self._tmp, exist_ok=True)
            try:
                _write(temporary, data)
                os.rename(temporary, name, dst_dir_fd=parent)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                half = os.open("." + name_of_half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=parent)
                with open(half, "wb") as file:
                    file.write(data)
                os.rename("." + name_of_half, name, src_dir_fd=parent, dst_dir_fd=parent)

    def remove(self, path: str) -> None:
        """Delete a lock file, by its path relative to the project."""
        with parent_of(self._root, path) as (parent, name):
            os.unlink(name, dir_fd=parent)

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
        self._refuse_links(os.path.dirname(path))
        try:
            descriptor = os.open(os.path.join(self._root, path), _READ)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise LockFileError(path, "a lock may not be a symlink", "replace it by a file") from error
            raise LockFileError(path, os.strerror(error.errno or 0), "restore it with `git checkout`") from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise LockFileError(path, "not a file", "remove it")
        with open(descriptor, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        # A lock is not synced, so a power cut may leave its name without its bytes: as if it had not been written.
        return decode_lock(path, data) if data.strip(b"\0") else None

    def _refuse_links(self, folder: str) -> None:
        """Refuse a folder of locks that a link leads out of the project; looked at once, `write` looks each time.

        A step must not run for a day before it is found that its lock cannot be written.
        """
        if folder not in self._real:
            for part in (folder, *parents(folder)):
                if os.path.islink(os.path.join(self._root, part)):
                    raise LockFileError(part, "locks may not lie behind a symlink", "replace it by a folder")
            self._real.add(folder)


def _write(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
