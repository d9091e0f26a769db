"""Hash long files, or hash them while they are copied, with reading, hashing and writing at the same time.

Measured for 4 GiB in the page cache on two cores: `b3sum` 0.72 s, `xxhsum` 0.48 s; here both hashes in one read 0.65 s,
the fingerprint alone 0.20 s; `cp` 11.1 s, a copy with both hashes 10.8 s. Memory is three buffers of 4 MiB.

The *fingerprint* of a file is the xxh3-128 of its bytes, or, where they are more than one chunk of 4 MiB, of its
chunks' xxh3-128 in order: so several threads can take it.
"""

from __future__ import annotations

import errno
import os
import queue
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

import xxhash
from blake3 import blake3

from gitml.hashing.threads import hash_threads

CHUNK = 4 << 20
LONG = 16 << 20
"""Bytes from which threads pay."""
_BUFFERS = 3
_NOT_IN_KERNEL = (errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM, errno.EBADF)


class Hashes(NamedTuple):
    """A file's fingerprint and raw BLAKE3, with the number of bytes that they are of."""

    xxh3: bytes
    digest: bytes
    size: int


class Hasher:
    """Takes both hashes of bytes that come in chunks: all of `CHUNK` bytes but the last."""

    def __init__(self, *, threads: int = 1) -> None:
        self._strong = blake3(max_threads=threads)
        self._marks: list[bytes] = []
        self._size = 0

    def update(self, chunk: memoryview | bytes) -> None:
        """Take the next chunk."""
        self._strong.update(chunk)
        self._marks.append(xxhash.xxh3_128_digest(chunk))
        self._size += len(chunk)

    def hashes(self) -> Hashes:
        """Give the hashes of all that was taken."""
        return Hashes(fingerprint(self._marks), self._strong.digest(), self._size)


def fingerprint(marks: list[bytes]) -> bytes:
    """Put the xxh3-128 of a file's chunks together."""
    if not marks:
        return xxhash.xxh3_128_digest(b"")
    return marks[0] if len(marks) == 1 else xxhash.xxh3_128_digest(b"".join(marks))


def hash_stream(descriptor: int, size: int) -> Hashes:
    """Take both hashes of an open file, from its start to where it ends now; `size` is what is expected."""
    hasher = Hasher(threads=hash_threads() if size >= LONG else 1)
    for chunk in _chunks(descriptor, size):
        hasher.update(chunk)
    return hasher.hashes()


def fingerprint_stream(descriptor: int, size: int) -> bytes:
    """Take the fingerprint alone of an open file, with a second thread where it is long."""
    if size < LONG:
        return fingerprint([xxhash.xxh3_128_digest(chunk) for chunk in _chunks(descriptor, size)])
    marks: dict[int, bytes] = {}

    def every_other(first: int) -> None:
        buffer = bytearray(CHUNK)
        at = first * CHUNK
        while count := _fill(descriptor, buffer, at, size):
            marks[at] = xxhash.xxh3_128_digest(memoryview(buffer)[:count])
            at += 2 * CHUNK

    _beside(lambda: every_other(1), lambda: every_other(0))
    return fingerprint([marks[at] for at in sorted(marks)])


def copy_stream(source: int, target: int, size: int, *, sync: bool) -> Hashes:
    """Copy an open file of `size` bytes into an empty one (open for reading too), and hash what arrived there.

    What is hashed are the target's bytes, so the hashes are its name whatever is written to the source meanwhile.
    `sync`: the bytes are on disk at the end.
    """
    hasher = Hasher(threads=1)
    if size < LONG:
        for chunk in _chunks(source, size):
            hasher.update(chunk)
            _write_all(target, chunk)
    else:
        arrived: queue.SimpleQueue[int] = queue.SimpleQueue()
        _beside(lambda: _copy(source, target, size, arrived), lambda: _hash_arriving(target, arrived, hasher))
    if sync:
        os.fsync(target)
    return hasher.hashes()


def _copy(source: int, target: int, size: int, arrived: queue.SimpleQueue[int]) -> None:
    """Copy in the kernel, a chunk at a time; tells how far it is, and -1 at the end."""
    at = 0
    try:
        while at < size:
            count = _transfer(source, target, min(CHUNK, size - at), at)
            if not count:
                break
            at += count
            arrived.put(at)
    finally:
        arrived.put(-1)


def _transfer(source: int, target: int, count: int, at: int) -> int:
    if hasattr(os, "copy_file_range"):
        try:
            copied = os.copy_file_range(source, target, count, at, at)
        except OSError as error:
            if error.errno not in _NOT_IN_KERNEL:
                raise
        else:
            if copied:  # 0 is the end of the file, or a file system that cannot do it and does not say so
                return copied
    data = os.pread(source, count, at)
    done = 0
    while done < len(data):
        done += os.pwrite(target, memoryview(data)[done:], at + done)
    return len(data)


def _hash_arriving(target: int, arrived: queue.SimpleQueue[int], hasher: Hasher) -> None:
    buffer = bytearray(CHUNK)
    at = upto = 0
    while True:
        now = arrived.get()
        ended = now < 0
        upto = max(upto, now)
        while upto - at >= CHUNK or (ended and upto > at):
            count = _fill(target, buffer, at, upto)
            hasher.update(memoryview(buffer)[:count])
            at += count
        if ended:
            return


def _chunks(descriptor: int, size: int) -> Iterator[memoryview]:
    """Read an open file from its start; of a long one, a thread reads the next chunk while this one is used.

    Chunks are shorter than `CHUNK` only at the end of a file, or where it turns out to be longer than `size`: its
    hashes are then of no use, since it was written to.
    """
    if size < LONG:
        buffer, at = bytearray(min(size + 1, CHUNK)), 0
        while count := _fill(descriptor, buffer, at, size):
            yield memoryview(buffer)[:count]
            at += count
        return
    free: queue.SimpleQueue[bytearray | None] = queue.SimpleQueue()
    full: queue.SimpleQueue[tuple[bytearray, int] | BaseException] = queue.SimpleQueue()
    for _ in range(_BUFFERS):
        free.put(bytearray(CHUNK))
    thread = threading.Thread(target=_read_ahead, args=(descriptor, size, free, full))
    thread.start()
    try:
        while True:
            got = full.get()
            if isinstance(got, BaseException):
                raise got
            buffer, count = got
            if not count:
                return
            yield memoryview(buffer)[:count]
            free.put(buffer)
    finally:
        free.put(None)
        thread.join()


def _read_ahead(
    descriptor: int,
    size: int,
    free: queue.SimpleQueue[bytearray | None],
    full: queue.SimpleQueue[tuple[bytearray, int] | BaseException],
) -> None:
    at = 0
    try:
        while (buffer := free.get()) is not None:
            count = _fill(descriptor, buffer, at, size)
            full.put((buffer, count))
            if not count:
                return
            at += count
    except BaseException as error:
        full.put(error)


def _fill(descriptor: int, buffer: bytearray, at: int, size: int) -> int:
    """Read until the buffer is full or the file ends.

    Nothing is read once more than `size` bytes were: a file that grows as fast as it is read has no end.
    """
    view, done = memoryview(buffer), 0
    while at <= size and done < len(buffer):
        count = os.preadv(descriptor, [view[done:]], at + done)
        if not count:
            break
        done += count
    return done


def _beside(first: Callable[[], None], second: Callable[[], None]) -> None:
    """Run the first in a thread and the second here; raises what either raised."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            first()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        second()
    finally:
        thread.join()
    if failed:
        raise failed[0]


def _write_all(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
