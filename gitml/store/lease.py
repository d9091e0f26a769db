"""The lease that keeps garbage collection away from content that nothing names yet.

A writer holds a shared flock on `gc.lock` from the first look whether an object is there to its lock or pointer;
garbage collection takes it exclusively, for moments, while it deletes. The lock falls with the process and those it
forked; the file is never unlinked.

The file holds a token: 16 random bytes that each writer replaces as soon as it has the lock, before it looks at or
writes anything. A collector reads the token when it has the lock itself (so no writer is active), marks without it,
takes it again, and deletes only if the token is still the same: then no writer began since, and all that ended before
had published their names before the mark began. That rests on no clock (two writers may come and go within one tick
of a file system's) and not on how a writer ends: a killed one has changed the token long before. Bytes are replaced in
place: a writer that cannot do so, because the disk is full or read-only, fails before it has written anything.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator

from gitml.errors import GitmlError
from gitml.store.claims import NoLocksError
from gitml.store.registry import register
from gitml.store.sharing import share_file

_TOKEN = 16
_POLL_S = 0.005
_SLOWEST_POLL_S = 0.1


class LeaseBusyError(GitmlError):
    """Others wrote to the cache for as long as a collector had patience."""

    def __init__(self, root: str) -> None:
        super().__init__(
            f"another gitml is writing to {root}, so nothing can be deleted from it",
            hint="wait for it to end, then try again",
        )


class Lease:
    """The lease of the cache at `root`, which need not exist yet.

    `user`: the common Git directory of the repository that writes, where the cache is shared with others. It is
    registered before it first writes, so that every collector asks it.
    """

    def __init__(self, root: str, *, user: str | None = None) -> None:
        self._root = root
        self._user = user
        self._path = os.path.join(root, "gc.lock")

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold it as a writer, waiting for a collector's batch to end; may be nested and held by many.

        Raises:
            NoLocksError: The file system has no flock.
            OSError: The cache cannot be written.
        """
        descriptor = self._open()
        try:
            self._lock(descriptor, fcntl.LOCK_SH)
            os.pwrite(descriptor, os.urandom(_TOKEN), 0)
            if self._user is not None:
                register(self._root, self._user)
            yield
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def collecting(self, *, patience: float) -> Iterator[bytes]:
        """Hold it alone, waiting at most `patience` seconds for writers to end; gives the token.

        Raises:
            LeaseBusyError: Somebody wrote for all that time.
            NoLocksError: The file system has no flock.
        """
        descriptor = self._open()
        try:
            self._wait(descriptor, time.monotonic() + patience)
            yield os.pread(descriptor, _TOKEN, 0)
        finally:
            os.close(descriptor)

    def _wait(self, descriptor: int, end: float) -> None:
        """Ask again and again: a lock that is waited for would make writers wait as well, for each other."""
        pause = _POLL_S
        while not self._taken(descriptor):
            if time.monotonic() >= end:
                raise LeaseBusyError(self._root)
            time.sleep(pause)
            pause = min(2 * pause, _SLOWEST_POLL_S)

    def _taken(self, descriptor: int) -> bool:
        try:
            self._lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CLOEXEC
        try:
            return os.open(self._path, flags)
        except FileNotFoundError:
            os.makedirs(self._root, exist_ok=True)
        descriptor = os.open(self._path, flags | os.O_CREAT, 0o666)
        share_file(self._root, descriptor, 0o664)
        return descriptor

    def _lock(self, descriptor: int, how: int) -> None:
        try:
            fcntl.flock(descriptor, how)
        except OSError as error:
            if error.errno in (errno.EINTR, errno.EWOULDBLOCK):
                raise
            raise NoLocksError(self._root) from error
