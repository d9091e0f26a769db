"""Find what objects are reached from those that something names.

A digest is that of a tree if the tree that holds it or the record that names it says so; where neither does, its first
bytes tell. Each tree is read once, and its digest is checked: one flipped bit in it would let a file seem unneeded.
Memory holds nothing but raw digests: 32 bytes, and what Python adds, for each thing that is reached.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Container, Iterator, Set

from blake3 import blake3

from gitml.errors import DamagedError
from gitml.model.digest import PREFIX, Digest
from gitml.model.mention import Mentions
from gitml.model.tree import HEADER
from gitml.store.packset import PackSet

_ROW = re.compile(rb"([fxld]).{8}(.{32})[^\0]+\0", re.DOTALL)
_ROWS = re.compile(rb"(?:[fxld].{40}[^\0]+\0)*\Z", re.DOTALL)
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_CHUNK = 1 << 20


class DamagedTreeError(DamagedError):
    """A folder that is needed has, or had, other bytes than its name says, so that what it needs is not known."""

    def __init__(self, raw: bytes) -> None:
        super().__init__(
            f"tree {Digest.from_raw(raw)} in the cache is damaged, so it is not known what it needs",
            hint="nothing was deleted: `gitml verify` tells how to make it again; else empty the cache's quarantine",
        )


class Marker:
    """What is reached so far in the cache at `root`; what is in `known` is neither reached nor looked into.

    `packs`: those of the cache, where they are known already; an index of a million objects takes a second to read.
    `reached`: raw digests, of objects that are there and of such that are not. With `lenient`, a damaged tree is as
    good as a missing one: for what is only counted, never for what is kept.
    """

    def __init__(
        self, root: str, *, packs: PackSet | None = None, known: Container[bytes] = (), lenient: bool = False
    ) -> None:
        self._objects = os.path.join(root, "objects")
        self._packs = PackSet(root) if packs is None else packs
        self._quarantine = os.path.join(root, "quarantine")
        self._moved: frozenset[str] | None = None
        self._known = known
        self._lenient = lenient
        self._trees: set[bytes] = set()
        self.reached: set[bytes] = set()

    def add(self, mentions: Mentions) -> None:
        """Reach what a record mentions, and all below it; what is missing has nothing below it.

        Raises:
            DamagedTreeError: A tree on the way is not what its name says.
            OSError: An object cannot be read.
        """
        for _ in self.walk(mentions):
            pass

    def walk(self, mentions: Mentions) -> Iterator[Set[bytes]]:
        """Reach as `add`, and give what was not reached before, bit by bit; all of it is only reached at the end."""
        yield self._new({_raw(digest) for digest in mentions.leaves})
        waiting = [(_raw(digest), digest in mentions.folders) for digest in mentions.digests - mentions.leaves]
        while waiting:
            yield self._new({raw for raw, _ in waiting})
            trees = [one for one in waiting if one[0] not in self._trees and one[0] not in self._known]
            waiting = []
            for raw, surely in trees:
                self._trees.add(raw)
                rows = _ROW.findall(self._tree(raw, surely=surely))
                waiting.extend((member, True) for kind, member in rows if kind == b"d")
                yield self._new({member for kind, member in rows if kind != b"d"})

    def _new(self, found: set[bytes]) -> Set[bytes]:
        new = {raw for raw in found - self.reached if raw not in self._known} if self._known else found - self.reached
        self.reached |= new
        return new

    def _tree(self, raw: bytes, *, surely: bool) -> bytes:
        """Read the rows of a tree; none for what is missing or no tree. `surely`: it is one, if it is whole."""
        data = self._read(raw, surely=surely)
        if data is None:
            if surely and not self._lenient and self._was_damaged(raw):
                raise DamagedTreeError(raw)
            return b""
        is_one = data.startswith(HEADER)
        if (is_one or surely) and blake3(data).digest() != raw:
            if self._lenient:
                return b""
            raise DamagedTreeError(raw)
        rows = data[len(HEADER) :]
        return rows if is_one and _ROWS.match(rows) else b""

    def _read(self, raw: bytes, *, surely: bool) -> bytes | None:
        """Read what may be a tree; of a file that does not begin like one, no more than is needed to see that."""
        name = raw.hex()
        try:
            descriptor = os.open(f"{self._objects}/{name[:2]}/{name[2:]}", _READ)
        except FileNotFoundError:
            return self._packed(raw)
        with open(descriptor, "rb", buffering=0) as file:
            try:
                data = file.read(_CHUNK if surely else 4096)
            except IsADirectoryError:
                return None
            if surely or data.startswith(HEADER):
                data += file.readall()
        return data

    def _packed(self, raw: bytes) -> bytes | None:
        """Read an object from a pack; another collector may move it to another one meanwhile."""
        for look in (False, True, True):
            with contextlib.suppress(FileNotFoundError):
                for place in self._packs.places(raw, look=look):
                    return self._packs.read(place)
        return None

    def _was_damaged(self, raw: bytes) -> bool:
        """Tell whether a missing tree may be one that was moved out of the way, alone or with a pack.

        What it needs is still there, and may be had nowhere else; one that was never here has nothing to lose.
        """
        if self._moved is None:
            names = {raw.hex() for pack in self._packs.packs() for raw in pack.damaged()}
            with contextlib.suppress(FileNotFoundError):
                names.update(os.listdir(self._quarantine))
            self._moved = frozenset(names)
        return raw.hex() in self._moved or any(name.endswith(".pack") for name in self._moved)


def _raw(digest: str) -> bytes:
    return bytes.fromhex(digest[len(PREFIX) :])
