"""The lease that keeps garbage collection away from content that nothing names yet.

A writer holds a shared flock on `gc.lock` from its first blob to its lock or pointer; garbage collection takes it
exclusively while it deletes. A writer that ends touches the file, so that a collector which marked before can tell
that new names may have come and marks again. The lock falls with the process; the file is never unlinked.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator

from gitml.store.claims import NoLocksError


class Lease:
    """The lease of the cache at `root`, which need not exist yet."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._path = os.path.join(root, "gc.lock")

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold it as a writer, waiting for a collector's batch to end; may be nested and held by many.

        Raises:
            NoLocksError: The file system has no flock.
        """
        descriptor = self._open()
        try:
            self._lock(descriptor, fcntl.LOCK_SH)
            try:
                yield
            finally:
                os.utime(descriptor)
        finally:
            os.close(descriptor)

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            return os.open(self._path, flags, 0o666)
        except FileNotFoundError:
            os.makedirs(self._root, exist_ok=True)
            return os.open(self._path, flags, 0o666)

    def _lock(self, descriptor: int, how: int) -> None:
        try:
            fcntl.flock(descriptor, how)
        except OSError as error:
            if error.errno in (errno.EINTR, errno.EWOULDBLOCK):
                raise
            raise NoLocksError(self._root) from error
