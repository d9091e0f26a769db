"""The objects of a cache that lie in packs: read with a check of each, damaged ones set aside."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from blake3 import blake3

from gitml.model.digest import Digest
from gitml.store.atomic import write_atomically
from gitml.store.packfile import Member, Pack
from gitml.store.packrewrite import rewrite
from gitml.store.packset import PackSet, Place
from gitml.store.quarantine import CorruptObjectError, MissingObjectError, quarantine_path

_ATTEMPTS = 5


class PackedObjects:
    """Objects in the packs below `root`; `set` knows where they are."""

    def __init__(self, root: str) -> None:
        self._root = root
        self.set = PackSet(root)

    def read(self, digest: Digest) -> bytes:
        """Read an object from any pack where it is whole.

        Raises:
            MissingObjectError: It is in none.
            CorruptObjectError: It was in some, and its bytes were wrong there.
        """
        raw, damaged = digest.raw, None
        for _ in range(_ATTEMPTS):
            for place in self.set.places(raw):
                data = self.read_span(place.pack, place.offset, place.offset + place.length)
                if data is None:  # a collector has written the pack anew
                    self.set.look(again=True)
                    break
                if blake3(data).digest() == raw:
                    return data
                damaged = self.set_aside(place, raw, data)
            else:
                break
        raise damaged or MissingObjectError(digest, refused=self.set.refused)

    def find(self, wanted: Sequence[bytes]) -> list[tuple[Pack, list[Member]]]:
        """Find many objects, each in one pack: by pack, what is read there, in the order in which it lies."""
        self.set.look()
        seen: set[bytes] = set()
        found = []
        for pack, members in self.set.find(wanted):
            found.append((pack, [member for member in members if member[2] not in seen]))
            seen.update(raw for _, _, raw in members)
        return found

    def read_span(self, pack: Pack, start: int, end: int) -> bytes | None:
        """Read a stretch of a pack, unchecked; less of it where the pack was cut short, None if it is gone."""
        try:
            return self.set.read(Place(pack, start, end - start))
        except FileNotFoundError:
            return None

    def judge(self, pack: Pack, raw: bytes) -> CorruptObjectError | None:
        """Set an object of a pack aside if its bytes there are wrong.

        Raises:
            FileNotFoundError: The pack is gone.
        """
        for found, offset, length in pack.entries():
            if found == raw:
                place = Place(pack, offset, length)
                data = self.set.read(place)
                return None if blake3(data).digest() == raw else self.set_aside(place, raw, data)
        return None

    def set_aside(self, place: Place, raw: bytes, data: bytes) -> CorruptObjectError:
        """Keep a copy of a damaged object's bytes, and let it count as absent from that pack from now on."""
        digest = Digest.from_raw(raw)
        target = quarantine_path(self._root, digest)
        write_atomically(target, data, tmp=os.path.join(self._root, "tmp"), cache=self._root)
        self.set.mark_damaged(place.pack, raw)
        return CorruptObjectError(digest, target)

    def rewrite(self, packs: Sequence[Pack], live: Callable[[bytes], bool]) -> list[str]:
        """Write packs anew with those of their objects for whose raw digest `live` answers true, and remove them."""
        written = rewrite(self.set, self._root, packs, live, self.set_aside)
        self.set.look(again=True)
        return written
