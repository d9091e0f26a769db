"""A file that is being received into the store: its digest is known only when the last byte has come.

It is written to `tmp/` beside the objects and renamed into place, so that a download costs one write. A kill leaves a
file in `tmp/`, which nothing names.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator

from gitml.model.digest import Digest
from gitml.store.objects import ObjectStore
from gitml.store.sharing import make_folder, share_file

_SYNC_FROM = 1 << 20
_serial = itertools.count()


class Incoming:
    """An open, empty file; `descriptor` is written by whoever receives, who also names what came."""

    def __init__(self, objects: ObjectStore, path: str, descriptor: int) -> None:
        self._objects = objects
        self._path = path
        self.descriptor = descriptor

    def publish(self, digest: Digest, size: int) -> None:
        """Make what was written the object of a digest that was computed on the way; the lease is held.

        One that is there already stays, if it is whole.
        """
        if self._objects.has(digest, size) and not os.path.lexists(self._objects.path(digest)):  # it lies in a pack
            return
        if size >= _SYNC_FROM:
            os.fsync(self.descriptor)
        self._objects.publish(self._path, digest)


@contextlib.contextmanager
def receiving(objects: ObjectStore) -> Iterator[Incoming]:
    """Open a file in the store's file system; what was not published is gone at the end."""
    folder = os.path.join(objects.root, "tmp")
    make_folder(objects.root, folder)
    path = os.path.join(folder, f"{os.getpid()}-in{next(_serial)}-{os.urandom(4).hex()}")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
    try:
        share_file(objects.root, descriptor, 0o444)
        yield Incoming(objects, path, descriptor)
    except OSError as error:
        if error.filename is None:  # a write names nothing, and a full disk has a place
            error.filename = path
        raise
    finally:
        os.close(descriptor)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
