"""The files that commands write their output to.

A file, not a pipe: the command outlives a kill of gitml without a broken pipe, and nothing is copied through Python.
A file is used again for the next step, because ext4 does not give the inode of a file that was deleted in the last five
seconds to a new one and searches past all of them: a file made and deleted per step took half of a trivial step's time.
It is used again only when no process has it open any more, which flock tells: the lock belongs to what was opened, and
what a process that escaped its group still has open keeps it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogFile:
    """A log: a descriptor for commands to append to, and its path."""

    descriptor: int
    path: str


class LogFiles:
    """Logs of one process below `folder`, deleted at `close`."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._guard = threading.Lock()
        self._free: list[LogFile] = []
        self._count = 0

    @contextlib.contextmanager
    def take(self) -> Iterator[LogFile]:
        """Give an empty log that nobody else writes to, for as long as the block lasts.

        It keeps its content until it is taken again, for those who still have it open to read.
        """
        with self._guard:
            log = self._free.pop() if self._free else self._create()
        os.ftruncate(log.descriptor, 0)
        try:
            yield log
        finally:
            os.close(log.descriptor)
            with contextlib.suppress(FileNotFoundError):  # `sweep` of another process took it for a dead one's
                again = _open_alone(log.path)
                if again is None:
                    os.unlink(log.path)
                else:
                    with self._guard:
                        self._free.append(LogFile(again, log.path))

    def close(self) -> None:
        """Delete the files."""
        with self._guard:
            for log in self._free:
                os.close(log.descriptor)
                os.unlink(log.path)
            self._free.clear()

    def _create(self) -> LogFile:
        os.makedirs(self._folder, exist_ok=True)
        self._count += 1
        path = os.path.join(self._folder, f"{os.getpid()}-{self._count}-{os.urandom(4).hex()}")
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return LogFile(descriptor, path)


def sweep(folder: str) -> None:
    """Delete logs whose process died and that nobody writes to any more."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return
    for name in names:
        path = os.path.join(folder, name)
        with contextlib.suppress(FileNotFoundError):
            descriptor = _open_alone(path)
            if descriptor is not None:
                os.unlink(path)
                os.close(descriptor)


def _open_alone(path: str) -> int | None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
