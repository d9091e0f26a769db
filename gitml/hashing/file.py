"""Digest one file: BLAKE3 names it, xxh3-128 tells later whether its bytes are still the same."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import xxhash
from blake3 import blake3

from gitml.errors import GitmlError
from gitml.hashing.stream import fingerprint_stream, hash_stream
from gitml.model.digest import Digest

BUFFER = 1 << 20
"""Bytes up to which a file is read at once."""
_ATTEMPTS = 3
_T = TypeVar("_T")


class StatSignature(NamedTuple):
    """What must be equal for a file to count as untouched; times in ns since the epoch."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    mode: int


class FileDigest(NamedTuple):
    """A file's two hashes, with the stat that held before and after they were taken."""

    signature: StatSignature
    xxh3: bytes
    digest: Digest


class ChangedWhileReadError(GitmlError):
    """A file did not hold still; `path` names it."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} changes while it is being read", hint="wait for its writer to finish and try again")
        self.path = path


class NotRegularError(GitmlError):
    """A path that should hold data is a pipe, socket or device."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} is not a file, folder or symlink", hint="remove it or leave it out")
        self.path = path


def signature_of(status: os.stat_result) -> StatSignature:
    """Take the fields of a stat result that a signature holds."""
    inode = status.st_ino
    if inode >= 1 << 63:  # SQLite's integers are signed
        inode -= 1 << 64
    return StatSignature(status.st_size, status.st_mtime_ns, status.st_ctime_ns, inode, status.st_mode)


def digest_bytes(data: bytes) -> Digest:
    """Name bytes in memory."""
    return Digest.from_raw(blake3(data).digest())


def digest_file(path: str) -> FileDigest:
    """Hash a regular file, in one read, without following a symlink at its last component.

    Raises:
        NotRegularError: It is no regular file.
        ChangedWhileReadError: It was written to during each of three attempts.
        OSError: It cannot be read.
    """
    signature, (xxh3, digest) = _read_steadily(path, _both)
    return FileDigest(signature, xxh3, digest)


def fast_digest_file(path: str) -> tuple[StatSignature, bytes]:
    """Take xxh3-128 alone of a regular file; raises as `digest_file`."""
    return _read_steadily(path, _fast)


def digest_open(descriptor: int, path: str) -> FileDigest:
    """Hash a file that is open at its start; `path` is for messages. Raises as `digest_file`."""
    signature, (xxh3, digest) = _read_steadily_open(descriptor, path, _both)
    return FileDigest(signature, xxh3, digest)


def fast_digest_open(descriptor: int, path: str) -> tuple[StatSignature, bytes]:
    """Take xxh3-128 alone of a file that is open at its start; raises as `digest_file`."""
    return _read_steadily_open(descriptor, path, _fast)


def _read_steadily(path: str, read: Callable[[int, int], _T | None]) -> tuple[StatSignature, _T]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return _read_steadily_open(descriptor, path, read)
    finally:
        os.close(descriptor)


def _read_steadily_open(descriptor: int, path: str, read: Callable[[int, int], _T | None]) -> tuple[StatSignature, _T]:
    for _ in range(_ATTEMPTS):
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise NotRegularError(path)
        result = read(descriptor, before.st_size)
        signature = signature_of(os.fstat(descriptor))
        if result is not None and signature == signature_of(before):
            return signature, result
        os.lseek(descriptor, 0, os.SEEK_SET)
    raise ChangedWhileReadError(path)


def _both(descriptor: int, size: int) -> tuple[bytes, Digest] | None:
    """Take both hashes; None where other than `size` bytes came, whatever the file's stat says."""
    if size < BUFFER:
        data = os.read(descriptor, size + 1)
        if len(data) == size:
            return xxhash.xxh3_128_digest(data), digest_bytes(data)
        os.lseek(descriptor, 0, os.SEEK_SET)
    found = hash_stream(descriptor, size)
    return (found.xxh3, Digest.from_raw(found.digest)) if found.size == size else None


def _fast(descriptor: int, size: int) -> bytes:
    return fingerprint_stream(descriptor, size)
