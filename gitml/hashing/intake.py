"""What becomes of the files that a walk over folders meets: they are digested, or put in the store as well."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import NamedTuple, Protocol

import xxhash
from blake3 import blake3

from gitml.hashing.file import ChangedWhileReadError, NotRegularError, digest_open, fast_digest_open
from gitml.hashing.folderrow import SIGNATURE, numbers_of, pack_stat
from gitml.model.digest import Digest

SMALL = 128 << 10
"""Bytes up to which a file is read whole, and may share a pack with others."""
_CONFIRM_FROM = 1 << 20
_ATTEMPTS = 3
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Taken(NamedTuple):
    """A file as it was taken: packed signature, kind byte of a tree object, size, raw xxh3-128 and BLAKE3.

    `size`: bytes of content, which for a link that stands for an object are not those of its text.
    """

    stat: bytes
    kind: bytes
    size: int
    xxh3: bytes
    digest: bytes


class Spot(NamedTuple):
    """Where a file is: its name in an open folder, and that folder's path from the root, for messages."""

    folder: int
    name: bytes
    inside: str

    @property
    def path(self) -> str:
        """The file's path from the root; made only where it is needed, which costs 0.7 us."""
        name = os.fsdecode(self.name)
        return name if self.inside == "." else f"{self.inside}/{name}"


class Intake(Protocol):
    """Takes what is in folders; one for each process, and used by one thread."""

    def has(self, known: Taken) -> bool:
        """Tell whether a file whose stat has not changed needs no second look."""

    def take(self, spot: Spot, known: Taken | None) -> Taken:
        """Take a file or link; `known` is what it was at the last look, when its stat was another."""

    def tree(self, data: bytes) -> bytes:
        """Take a folder's tree object, after all that it names; gives its raw digest."""

    def has_tree(self, raw: bytes) -> bool:
        """Tell whether a tree need not be taken again."""

    def end(self) -> None:
        """Make what was taken last."""

    def abandon(self) -> None:
        """Clear away what was not made to last, after a failure."""


def no_link(text: bytes) -> Digest | None:
    """Say of a link's text that it stands for no object of the store."""
    return None


class Digesting:
    """Digests and stores nothing; `linked` tells which links stand for objects of the store."""

    def __init__(self, linked: Callable[[bytes], Digest | None] = no_link) -> None:
        self._linked = linked

    def has(self, known: Taken) -> bool:
        """Need nothing more than the digest."""
        return True

    def take(self, spot: Spot, known: Taken | None) -> Taken:
        """Take a file or link."""
        descriptor = open_file(spot)
        if descriptor is None:
            return self._link(spot)
        try:
            before = os.fstat(descriptor)
            if before.st_size > SMALL or not stat.S_ISREG(before.st_mode):
                return self._not_small(descriptor, before, spot, known)
            data = os.read(descriptor, before.st_size + 1)
            after = os.fstat(descriptor)
            if len(data) != after.st_size or not is_same(before, after):
                after, data = read_small(descriptor, spot)
        finally:
            os.close(descriptor)
        return self.small(after, data)

    def small(self, status: os.stat_result, data: bytes) -> Taken:
        """Take a small file's bytes."""
        xxh3, digest = xxhash.xxh3_128_digest(data), blake3(data).digest()
        return Taken(pack_stat(status), kind_byte(status.st_mode), len(data), xxh3, digest)

    def large(self, descriptor: int, spot: Spot) -> Taken:
        """Take a file that is not read whole."""
        found = digest_open(descriptor, spot.path)
        signature = found.signature
        return Taken(
            SIGNATURE.pack(*signature), kind_byte(signature.mode), signature.size, found.xxh3, found.digest.raw
        )

    def link_text(self, spot: Spot, text: bytes) -> bytes:
        """Take a link's text; gives its raw digest."""
        return blake3(text).digest()

    def tree(self, data: bytes) -> bytes:
        """Digest a tree object."""
        return blake3(data).digest()

    def has_tree(self, raw: bytes) -> bool:
        """Need nothing more than the digest."""
        return True

    def end(self) -> None:
        """Have nothing to finish."""

    def abandon(self) -> None:
        """Have nothing to clear away."""

    def _not_small(self, descriptor: int, status: os.stat_result, spot: Spot, known: Taken | None) -> Taken:
        """Take a larger file; where only its times have changed, xxh3 confirms its bytes."""
        if not stat.S_ISREG(status.st_mode):
            raise NotRegularError(spot.path)
        if known is not None and status.st_size >= _CONFIRM_FROM and numbers_of(known.stat)[0] == status.st_size:
            signature, xxh3 = fast_digest_open(descriptor, spot.path)
            if xxh3 == known.xxh3 and self.has(known):
                return Taken(SIGNATURE.pack(*signature), kind_byte(signature.mode), signature.size, xxh3, known.digest)
            os.lseek(descriptor, 0, os.SEEK_SET)
        return self.large(descriptor, spot)

    def _link(self, spot: Spot) -> Taken:
        status = os.stat(spot.name, dir_fd=spot.folder, follow_symlinks=False)
        text = os.readlink(spot.name, dir_fd=spot.folder)
        xxh3 = xxhash.xxh3_128_digest(text)
        stored = self._linked(text)
        if stored is not None:
            size = os.stat(spot.name, dir_fd=spot.folder).st_size
            return Taken(pack_stat(status), b"f", size, xxh3, stored.raw)
        return Taken(pack_stat(status), b"l", len(text), xxh3, self.link_text(spot, text))


def open_file(spot: Spot) -> int | None:
    """Open a file for reading without waiting for a pipe's writer; None for a symlink."""
    try:
        return os.open(spot.name, _READ, dir_fd=spot.folder)
    except FileNotFoundError:
        raise ChangedWhileReadError(spot.path) from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None
        if error.errno in (errno.ENXIO, errno.ENODEV, errno.EOPNOTSUPP):
            raise NotRegularError(spot.path) from None
        raise OSError(error.errno, error.strerror, spot.path) from None


def is_same(before: os.stat_result, after: os.stat_result) -> bool:
    """Tell whether a file was left alone between two looks at it."""
    return after.st_mtime_ns == before.st_mtime_ns and after.st_ctime_ns == before.st_ctime_ns


def read_small(descriptor: int, spot: Spot) -> tuple[os.stat_result, bytes]:
    """Read a small file whole, and give the stat that held before and after.

    Raises:
        ChangedWhileReadError: It was written to during each of three attempts, or grew beyond `SMALL`.
    """
    for _ in range(_ATTEMPTS):
        os.lseek(descriptor, 0, os.SEEK_SET)
        before = os.fstat(descriptor)
        data = os.read(descriptor, before.st_size + 1)
        after = os.fstat(descriptor)
        if len(data) == before.st_size == after.st_size and is_same(before, after):
            return after, data
        if after.st_size > SMALL:
            break
    raise ChangedWhileReadError(spot.path)


def kind_byte(mode: int) -> bytes:
    """Tell a regular file's kind by the owner's executable bit, as Git does."""
    return b"x" if mode & stat.S_IXUSR else b"f"
