"""Gather small objects and write them as packs, or as files of their own where they are few.

Crash story: a pack grows under a name in `tmp/` that begins with the process's number; it is synced and renamed when
it is whole, so a kill leaves whole packs and one nameless file that garbage collection removes. Objects that were only
gathered are lost with the process, as are files that it had not yet written.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from types import TracebackType
from typing import Protocol

from blake3 import blake3

from gitml.model.digest import Digest
from gitml.store.packfile import HEADER, LARGEST, MOST, encode_index, marks_of
from gitml.store.sharing import make_folder, share_file

SMALL = 128 << 10
"""Bytes up to which an object goes into a pack."""
_CHUNK = 1 << 20
_serial = itertools.count()


class Shelf(Protocol):
    """What a packer needs of the store that it writes to."""

    root: str

    def holds(self, raw: bytes, size: int | None) -> bool:
        """Tell whether an object is there; packs that other processes have just added may be overlooked."""

    def put(self, raw: bytes, data: bytes) -> None:
        """Write an object as a file of its own."""

    def look_again(self) -> None:
        """Learn of the packs that were published."""


class PackWriter:
    """Writes one pack below `root`/packs; `discard` or `publish` ends it."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._rows: dict[bytes, tuple[int, int]] = {}
        self._chunk: list[bytes] = []
        self._waiting = 0
        self._hasher = blake3()
        tmp = os.path.join(root, "tmp")
        make_folder(root, tmp)
        self._temporary = os.path.join(tmp, f"{os.getpid()}-{next(_serial)}-{os.urandom(4).hex()}.pack")
        self._descriptor = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
        self.size = 0
        self._append(HEADER)

    def is_full(self, more: int) -> bool:
        """Tell whether `more` bytes are for the next pack."""
        return self.size + more > LARGEST or len(self._rows) >= MOST

    def __contains__(self, raw: bytes) -> bool:
        return raw in self._rows

    def add(self, raw: bytes, data: bytes) -> None:
        """Append an object that is not in this pack yet."""
        self._rows[raw] = (self.size, len(data))
        self._append(data)

    def publish(self) -> str:
        """Finish the pack, give it its name, and give its path."""
        rows = [(raw, offset, length) for raw, (offset, length) in self._rows.items()]
        self._append(encode_index(rows, self.size))
        self._flush()
        os.fsync(self._descriptor)
        share_file(self._root, self._descriptor, 0o444)
        folder = os.path.join(self._root, "packs")
        path = os.path.join(folder, self._hasher.digest().hex() + ".pack")
        make_folder(self._root, folder)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(marks_of(path))  # what is said there of an older copy of this pack does not hold for this one
        os.rename(self._temporary, path)
        self._close()
        return path

    def discard(self) -> None:
        """Leave nothing behind; may be called at any time, also twice."""
        self._close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._temporary)

    def _append(self, data: bytes) -> None:
        self._chunk.append(data)
        self.size += len(data)
        self._waiting += len(data)
        if self._waiting >= _CHUNK:
            self._flush()

    def _flush(self) -> None:
        data = b"".join(self._chunk)
        self._chunk.clear()
        self._waiting = 0
        self._hasher.update(data)
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Packer:
    """Takes objects one by one, from several threads if need be; what it took is in the store after `finish`.

    Fewer than `loose_below` small objects become files of their own. Used as a context it finishes at the end and, on
    an exception, discards what is not yet published.
    """

    def __init__(self, shelf: Shelf, *, loose_below: int) -> None:
        self._shelf = shelf
        self._loose_below = loose_below
        self._lock = threading.Lock()
        self._gathered: dict[bytes, bytes] = {}
        self._writer: PackWriter | None = None

    def __enter__(self) -> Packer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None:
            self.finish()
        else:
            self.discard()

    def holds(self, digest: Digest | bytes, size: int | None = None) -> bool:
        """Tell whether an object was taken or is in the store, and, where its size is known, whole."""
        raw = digest.raw if isinstance(digest, Digest) else digest
        with self._lock:
            if raw in self._gathered or (self._writer is not None and raw in self._writer):
                return True
        return self._shelf.holds(raw, size)

    def add_bytes(self, data: bytes) -> Digest:
        """Take bytes and name them."""
        raw = blake3(data).digest()
        self.add(raw, data)
        return Digest.from_raw(raw)

    def add(self, digest: Digest | bytes, data: bytes) -> None:
        """Take bytes whose digest was computed by the caller; nothing is done when they are held already.

        Raises:
            OSError: They cannot be written; nothing but whole packs is left once the packer is discarded.
        """
        raw = digest.raw if isinstance(digest, Digest) else digest
        if self.holds(raw, len(data)):
            return
        if len(data) > SMALL:
            self._shelf.put(raw, data)
            return
        with self._lock:
            self._take(raw, data)

    def finish(self) -> None:
        """Write what was gathered; the packer may be used again."""
        with self._lock:
            try:
                self._publish()
                for raw, data in self._gathered.items():
                    self._shelf.put(raw, data)
            finally:
                self._discard()

    def discard(self) -> None:
        """Forget what is not published."""
        with self._lock:
            self._discard()

    def _take(self, raw: bytes, data: bytes) -> None:
        if self._writer is not None:
            if raw in self._writer:
                return
            if not self._writer.is_full(len(data)):
                self._writer.add(raw, data)
                return
            self._publish()
        self._gathered[raw] = data
        if len(self._gathered) >= self._loose_below:
            self._writer = PackWriter(self._shelf.root)
            for gathered in self._gathered.items():
                self._writer.add(*gathered)
            self._gathered.clear()

    def _publish(self) -> None:
        if self._writer is not None:
            self._writer.publish()
            self._writer = None
            self._shelf.look_again()

    def _discard(self) -> None:
        writer, self._writer = self._writer, None
        self._gathered.clear()
        if writer is not None:
            writer.discard()
