"""Claims: who may execute a step, told by flock, so that no lock outlives its holder.

A claim is a file that is never unlinked (unlinking a locked file lets two processes lock two files of one name). Its
descriptor is inherited by the step's command: the claim stands while any process of the step lives, also after gitml
was killed, and falls by itself. The text inside only names the holder for those who wait; text that is found when
the lock is free was left by a holder that died, and names the execution to clean up after.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Mapping

from gitml.errors import GitmlError
from gitml.hashing.file import digest_bytes
from gitml.store.sharing import make_folder, share_file


class NoLocksError(GitmlError):
    """The file system does not do flock."""

    def __init__(self, folder: str) -> None:
        super().__init__(
            f"the file system of {folder} cannot lock files, so two runs could not be kept apart",
            hint="clone to a local disk, or mount the share with locking",
        )


class Claim:
    """A claim that is held. `left_by` is what a dead holder wrote, if there was one."""

    def __init__(self, descriptor: int, left_by: Mapping[str, object] | None) -> None:
        self.descriptor = descriptor
        self.left_by = left_by

    def sign(self, holder: Mapping[str, object]) -> None:
        """Write who holds it, for the message of those who wait."""
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, json.dumps(holder).encode(), 0)

    def release(self) -> None:
        """Forget the holder and let go; a process of the step that still lives keeps the lock standing."""
        os.ftruncate(self.descriptor, 0)
        os.close(self.descriptor)

    def abandon(self) -> None:
        """Let go without forgetting who held it, so that the next holder cleans up."""
        os.close(self.descriptor)


class Claims:
    """Claims by name below `folder`."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def attempt(self, name: str) -> Claim | None:
        """Take a claim without waiting; None when another holds it.

        Raises:
            NoLocksError: The file system has no flock.
        """
        descriptor = self._open(self._path(name))
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return None
            raise NoLocksError(self._folder) from error
        return Claim(descriptor, _parse(os.pread(descriptor, 65536, 0)))

    def holder(self, name: str) -> Mapping[str, object] | None:
        """Read who signed a claim, if anyone did."""
        with contextlib.suppress(FileNotFoundError), open(self._path(name), "rb") as file:
            return _parse(file.read(65536))
        return None

    def _open(self, path: str) -> int:
        """Open a claim's file; in a cache that a group shares, its other members may open it as well."""
        flags = os.O_RDWR | os.O_CLOEXEC
        try:
            return os.open(path, flags)
        except FileNotFoundError:
            above = os.path.dirname(self._folder)
            make_folder(above, self._folder)
        descriptor = os.open(path, flags | os.O_CREAT, 0o666)
        share_file(above, descriptor, 0o664)
        return descriptor

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, digest_bytes(os.fsencode(name)).hex[:40])


def _parse(data: bytes) -> Mapping[str, object] | None:
    if not data:
        return None
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
