"""Hash loose objects again, to tell whether they still are what their names say.

Small objects are looked at by several processes, a folder `objects/ab` at a time: a file costs three system calls and
one hash there, no stat. That look can only acquit: what it cannot prove right is looked at again with care. Files of
16 MiB and more are hashed one at a time, by all CPUs together; they are read and not mapped, because a bad sector, or
an editor that shortens a hard-linked file, would end a process that has mapped it (SIGBUS), and mapping is no faster
(3.2 and 2.9 GB/s here on two CPUs).
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from blake3 import blake3

from gitml.hashing.meter import SILENT, Meter
from gitml.hashing.threads import hash_threads

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BUFFER = 1 << 20
_LARGE = 16 << 20


class Fault(str, Enum):
    """What is wrong with a file of the cache."""

    BYTES = "damaged"
    UNREADABLE = "unreadable"
    NO_FILE = "no file"
    STRAY = "stray"


class Look(NamedTuple):
    """What an object was found to be: how many bytes were read, and what is wrong, if anything."""

    size: int
    fault: Fault | None = None
    detail: str = ""


class Shard(NamedTuple):
    """Objects of one folder, named by their last 62 digits."""

    name: str
    members: Sequence[str]


class ShardLook(NamedTuple):
    """What became of a shard: how many objects are right, with how many bytes; the large ones are left to the caller.

    `wrong`: by name, what is wrong.
    """

    right: int
    size: int
    wrong: dict[str, Look]
    large: tuple[str, ...]


class ShardWorker:
    """Looks at shards of `folder` (the cache's `objects`); one for each process."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._buffer = bytearray(_BUFFER)

    def one(self, item: Shard) -> bytes:
        """Look at a shard; `read_look` reads the answer."""
        try:
            folder = os.open(os.path.join(self._folder, item.name), _FOLDER)
        except FileNotFoundError:
            return json.dumps([0, 0, {}, []]).encode()
        try:
            right, size, doubtful = self._glance(folder, item)
            wrong: dict[str, Look] = {}
            large: list[str] = []
            for name in doubtful:
                look = examine(folder, name, item.name + name, largest=_LARGE)
                if look is None:
                    continue
                if look.size > _LARGE:
                    large.append(name)
                    continue
                size += look.size
                right += look.fault is None
                if look.fault is not None:
                    wrong[name] = look
        finally:
            os.close(folder)
        return json.dumps([right, size, wrong, large]).encode()

    def end(self) -> bytes:
        """Have nothing to finish."""
        return b""

    def _glance(self, folder: int, item: Shard) -> tuple[int, int, list[str]]:
        """Acquit what is right; a file as long as the buffer, or empty (a pipe seems so), is left to a better look."""
        opened, read, close = os.open, os.readv, os.close
        view, buffers = memoryview(self._buffer), [self._buffer]
        doubtful: list[str] = []
        size = 0
        for name in item.members:
            try:
                descriptor = opened(name, _READ, dir_fd=folder)
                try:
                    count = read(descriptor, buffers)
                finally:
                    close(descriptor)
            except OSError:
                doubtful.append(name)
                continue
            if 0 < count < _BUFFER and blake3(view[:count]).hexdigest() == item.name + name:
                size += count
            else:
                doubtful.append(name)
        return len(item.members) - len(doubtful), size, doubtful


def read_look(data: bytes) -> ShardLook:
    """Read what `ShardWorker.one` gave."""
    right, size, wrong, large = json.loads(data)
    looks = {name: Look(read, Fault(fault), detail) for name, (read, fault, detail) in wrong.items()}
    return ShardLook(right, size, looks, tuple(large))


def examine(folder: int, name: str, expected: str, *, largest: int | None = None, meter: Meter = SILENT) -> Look | None:
    """Look at one file of an open folder with care: it should be regular and have the hex digest `expected`.

    None: it is gone. A regular file of more than `largest` bytes is not read; its size is given. `meter`: is told of
    the bytes that are read.
    """
    try:
        descriptor = os.open(name, _READ, dir_fd=folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        return _refused(error)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return Look(0, Fault.NO_FILE, _kind(status.st_mode))
        if largest is not None and status.st_size > largest:
            return Look(status.st_size)
        return _hash(descriptor, status.st_size, expected, meter)
    except OSError as error:
        return _refused(error)
    finally:
        os.close(descriptor)


def _hash(descriptor: int, size: int, expected: str, meter: Meter) -> Look:
    hasher = blake3(max_threads=hash_threads() if size >= _LARGE else 1)
    buffer = bytearray(4 * _BUFFER if size >= _LARGE else min(size + 1, _BUFFER))
    view = memoryview(buffer)
    done = 0
    while count := os.readv(descriptor, [buffer]):
        hasher.update(view[:count])
        done += count
        meter.advance(0, count)
    if hasher.hexdigest() == expected:
        return Look(done)
    return Look(done, Fault.BYTES, f"its {done} bytes have the digest blake3:{hasher.hexdigest()}")


def _refused(error: OSError) -> Look:
    if error.errno == errno.ELOOP:
        return Look(0, Fault.NO_FILE, "a symlink")
    if error.errno == errno.ENXIO:
        return Look(0, Fault.NO_FILE, "a socket or a device")
    if error.errno == errno.EIO:
        return Look(0, Fault.BYTES, "the disk cannot read it")
    return Look(0, Fault.UNREADABLE, error.strerror or str(error))


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a pipe" if stat.S_ISFIFO(mode) else "a device"
