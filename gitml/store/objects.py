"""Content-addressed objects: `objects/ab/cdef…`, one read-only file per blob or tree, named by its BLAKE3.

Crash story: an object is written to `tmp/` beside `objects/` in the same file system and renamed into place, so that a
name is either absent or whole as far as a kill can tell. A power cut may still leave a renamed file without its bytes;
so length is checked before an object is counted on, and its digest whenever it is copied out: such an object is then
quarantined and the step that made it runs again. Syncing each small file costs 0.3 ms on a local disk (a tenth of a
trivial step), so only files of 1 MiB and more are synced before the rename.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat

import xxhash
from blake3 import blake3

from gitml.errors import DamagedError
from gitml.hashing.file import BUFFER, ChangedWhileReadError, FileDigest, NotRegularError, digest_bytes, signature_of
from gitml.model.digest import Digest

_SYNC_FROM = 1 << 20
_SMALL = 128 << 10
_THREADED_FROM = 8 << 20
_serial = itertools.count()


class MissingObjectError(DamagedError):
    """An object is not in the store; `digest` names it."""

    def __init__(self, digest: Digest) -> None:
        super().__init__(f"object {digest} is not in the cache", hint="run `gitml repro` to make it again")
        self.digest = digest


class CorruptObjectError(DamagedError):
    """An object had other bytes than its name says; it was moved to `quarantine/`."""

    def __init__(self, digest: Digest, quarantined: str) -> None:
        super().__init__(
            f"object {digest} in the cache is damaged; it was moved to {quarantined}",
            hint="run `gitml repro` to make it again",
        )
        self.digest = digest


class ObjectStore:
    """Objects below `root`; methods are safe to call from several threads and processes at once."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._objects = os.path.join(root, "objects")
        self._tmp = os.path.join(root, "tmp")

    def path(self, digest: Digest) -> str:
        """Tell where an object lies, or would lie."""
        name = digest.hex
        return os.path.join(self._objects, name[:2], name[2:])

    def has(self, digest: Digest, size: int | None = None) -> bool:
        """Tell whether an object is there and, where its size is known, whole."""
        try:
            found = os.stat(self.path(digest))
        except FileNotFoundError:
            return False
        return stat.S_ISREG(found.st_mode) and (size is None or found.st_size == size)

    def read(self, digest: Digest) -> bytes:
        """Read a small object (a tree, a log, a metrics file) and check its bytes.

        Raises:
            MissingObjectError: It is not there.
            CorruptObjectError: Its bytes have another digest.
        """
        try:
            with open(self.path(digest), "rb") as file:
                data = file.read()
        except FileNotFoundError:
            raise MissingObjectError(digest) from None
        if digest_bytes(data) != digest:
            raise self.quarantine(digest)
        return data

    def add_bytes(self, data: bytes) -> Digest:
        """Store bytes; nothing is written when they are there already."""
        digest = digest_bytes(data)
        if not self.has(digest, len(data)):
            temporary, descriptor = self._create()
            try:
                with open(descriptor, "wb") as file:
                    file.write(data)
                self._publish(temporary, digest)
            except BaseException:
                _unlink(temporary)
                raise
        return digest

    def add_file(self, path: str) -> FileDigest:
        """Store a regular file, hashing it while it is copied, and give its digest and its stat.

        Raises:
            NotRegularError: It is a pipe, socket or device.
            ChangedWhileReadError: It was written to meanwhile.
            OSError: It cannot be read, or the cache cannot be written.
        """
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise NotRegularError(path)
            if before.st_size <= _SMALL:
                found = self._add_small(descriptor, before.st_size)
            else:
                found = self._add_large(descriptor)
            signature = signature_of(os.fstat(descriptor))
        finally:
            os.close(descriptor)
        if signature != signature_of(before):
            raise ChangedWhileReadError(path)
        return FileDigest(signature, *found)

    def copy_out(self, digest: Digest, target: int) -> None:
        """Write an object's bytes to an open descriptor, checking them on the way.

        Raises:
            MissingObjectError: It is not there.
            CorruptObjectError: The bytes that were written are not those of the digest; discard the target.
        """
        hasher = blake3()
        try:
            source = os.open(self.path(digest), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise MissingObjectError(digest) from None
        try:
            while data := os.read(source, 4 * BUFFER):
                hasher.update(data)
                _write_all(target, data)
        finally:
            os.close(source)
        if Digest.from_raw(hasher.digest()) != digest:
            raise self.quarantine(digest)

    def verify(self, digest: Digest) -> None:
        """Read an object and check its bytes; raises as `copy_out`."""
        with open(os.devnull, "wb") as nowhere:
            self.copy_out(digest, nowhere.fileno())

    def quarantine(self, digest: Digest) -> CorruptObjectError:
        """Move a damaged object out of the way and give the error to raise."""
        folder = os.path.join(self.root, "quarantine")
        os.makedirs(folder, exist_ok=True)
        target = os.path.join(folder, digest.hex)
        with contextlib.suppress(FileNotFoundError):
            os.rename(self.path(digest), target)
        return CorruptObjectError(digest, target)

    def _add_small(self, descriptor: int, size: int) -> tuple[bytes, Digest]:
        data = b""
        while part := os.read(descriptor, size + 1 - len(data)):
            data += part
        return xxhash.xxh3_128_digest(data), self.add_bytes(data)

    def _add_large(self, descriptor: int) -> tuple[bytes, Digest]:
        temporary, target = self._create()
        fast, strong = xxhash.xxh3_128(), blake3(max_threads=blake3.AUTO)
        buffer = bytearray(4 * BUFFER)
        view = memoryview(buffer)
        written = 0
        try:
            try:
                while count := os.readv(descriptor, [buffer]):
                    fast.update(view[:count])
                    strong.update(view[:count])
                    _write_all(target, view[:count])
                    written += count
                if written >= _SYNC_FROM:
                    os.fsync(target)
            finally:
                os.close(target)
            digest = Digest.from_raw(strong.digest())
            self._publish(temporary, digest)
        except BaseException:
            _unlink(temporary)
            raise
        return fast.digest(), digest

    def _create(self) -> tuple[str, int]:
        path = os.path.join(self._tmp, f"{os.getpid()}-{next(_serial)}-{os.urandom(4).hex()}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            return path, os.open(path, flags, 0o444)
        except FileNotFoundError:
            os.makedirs(self._tmp, exist_ok=True)
            return path, os.open(path, flags, 0o444)

    def _publish(self, temporary: str, digest: Digest) -> None:
        """Rename into place. A name that is there already holds the same bytes: replacing it repairs a cut one."""
        target = self.path(digest)
        try:
            os.rename(temporary, target)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.rename(temporary, target)
        except IsADirectoryError:  # whatever that is, it is no object
            self.quarantine(digest)
            os.rename(temporary, target)


def _write_all(descriptor: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
