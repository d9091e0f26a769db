"""Put a folder of the worktree into the store while it is digested, in as many processes as that takes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

import xxhash
from blake3 import blake3

from gitml.errors import DamagedError, UsageError
from gitml.hashing.folderrow import SIGNATURE, pack_stat
from gitml.hashing.intake import Digesting, Spot, Taken, kind_byte
from gitml.model.digest import Digest
from gitml.store.link import adopt
from gitml.store.place import check_link
from gitml.store.store import Store


class Storing(Digesting):
    """Stores what it takes: small files in packs, larger ones by the kind of link that the user prefers."""

    def __init__(self, store: Store, root: str, linked: Callable[[bytes], Digest | None]) -> None:
        super().__init__(linked)
        self._store = store
        self._root = root
        self._open = contextlib.ExitStack()
        self._packer = self._open.enter_context(store.objects.packing())

    def has(self, known: Taken) -> bool:
        """Tell whether the store has a file's bytes."""
        return self._packer.holds(known.digest, known.size)

    def small(self, status: os.stat_result, data: bytes) -> Taken:
        """Store a small file's bytes."""
        raw = blake3(data).digest()
        self._packer.add(raw, data)
        return Taken(pack_stat(status), kind_byte(status.st_mode), len(data), xxhash.xxh3_128_digest(data), raw)

    def large(self, descriptor: int, spot: Spot) -> Taken:
        """Store a file by its name."""
        found, stands = adopt(self._store.objects, os.path.join(self._root, spot.path), self._store.links)
        content = found.signature
        return Taken(SIGNATURE.pack(*stands), kind_byte(content.mode), content.size, found.xxh3, found.digest.raw)

    def link_text(self, spot: Spot, text: bytes) -> bytes:
        """Store a link's text; one that leads outside the project could never be restored safely, and is refused."""
        refuse_outward(spot.path, text)
        return self._packer.add_bytes(text).raw

    def tree(self, data: bytes) -> bytes:
        """Store a tree object."""
        return self._packer.add_bytes(data).raw

    def has_tree(self, raw: bytes) -> bool:
        """Tell whether the store has a tree object."""
        return self._packer.holds(raw)

    def end(self) -> None:
        """Publish the packs."""
        self._open.close()

    def abandon(self) -> None:
        """Leave no pack behind that is not whole."""
        self._packer.discard()


def refuse_outward(path: str, text: bytes) -> None:
    """Refuse a link that could never be restored safely.

    Raises:
        UsageError: It leads outside the project.
    """
    try:
        check_link(path, text)
    except DamagedError as error:
        raise UsageError(error.message, hint="replace it by what it leads to, or leave it out") from None
