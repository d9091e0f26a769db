"""Hash the objects of packs again.

A pack is named by the digest of the whole file, and a file that still has it is the file that was published. That is
not enough: whoever published it may have written an index that names an object over the bytes of another, and a cache
may be shared with people one does not fully trust. So each object is held against its own digest as well, which costs
less than reading it from a disk. The whole is hashed too, since a remote will know the pack by it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from blake3 import blake3

from gitml.hashing.threads import hash_threads
from gitml.store.packfile import ROW, NewerPackError, Pack, PackError, PackFile, open_pack
from gitml.store.rehash import Fault, Look

_SPAN = 4 << 20


class PackShare(NamedTuple):
    """A pack to look at, by the name of its file; `chosen`: the numbers of the rows to look at, None for all."""

    name: str
    chosen: Sequence[int] | None = None


class PackLook(NamedTuple):
    """What became of a pack: how many objects are right, how many bytes were read.

    `wrong`: by hex digest, what is wrong with an object. `whole`: what is wrong with the file.
    """

    right: int
    size: int
    wrong: dict[str, Look]
    whole: Look | None


class PackWorker:
    """Looks at packs in `folder` (the cache's `packs`)."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def one(self, item: PackShare) -> bytes:
        """Look at one pack; `read_pack_look` reads the answer."""
        return json.dumps(self._look(item)).encode()

    def end(self) -> bytes:
        """Have nothing to finish."""
        return b""

    def _look(self, item: PackShare) -> PackLook:
        path = os.path.join(self._folder, item.name)
        try:
            pack, rows = open_pack(path)
            file = PackFile(path)
            known = pack.damaged()  # a pack of which objects are known to be damaged cannot have its digest
            whole = None if known or item.chosen is not None else _whole(pack, file)
            wanted = ROW.iter_unpack(rows) if item.chosen is None else _rows(rows, item.chosen)
            places = sorted((offset, length, raw) for raw, offset, length in wanted if raw not in known)
            return _objects(file, places)._replace(whole=whole)
        except FileNotFoundError:
            return PackLook(0, 0, {}, None)
        except PackError as error:
            fault = Fault.UNREADABLE if isinstance(error, NewerPackError) else Fault.BYTES
            return PackLook(0, 0, {}, Look(0, fault, error.why))
        except OSError as error:
            return PackLook(0, 0, {}, Look(0, Fault.UNREADABLE, error.strerror or str(error)))


def read_pack_look(data: bytes) -> PackLook:
    """Read what `PackWorker.one` gave."""
    right, size, wrong, whole = json.loads(data)
    return PackLook(right, size, {name: _as_look(row) for name, row in wrong.items()}, whole and _as_look(whole))


def count_objects(path: str) -> int:
    """Tell how many objects a pack has; one in what is none, so that a sample may meet it."""
    try:
        return open_pack(path)[0].count
    except (PackError, OSError):
        return 1


def _as_look(row: tuple[int, str, str]) -> Look:
    return Look(row[0], Fault(row[1]), row[2])


def _whole(pack: Pack, file: PackFile) -> Look | None:
    hasher = blake3(max_threads=hash_threads())
    at = 0
    while data := os.pread(file.descriptor, _SPAN, at):
        hasher.update(data)
        at += len(data)
    if hasher.hexdigest() == pack.digest:
        return None
    return Look(at, Fault.BYTES, f"its {at} bytes have the digest blake3:{hasher.hexdigest()}")


def _rows(rows: bytes, numbers: Sequence[int]) -> Iterator[tuple[bytes, int, int]]:
    for number in numbers:
        if (number + 1) * ROW.size <= len(rows):  # a pack that has none is counted as one
            yield ROW.unpack_from(rows, number * ROW.size)


def _objects(file: PackFile, places: list[tuple[int, int, bytes]]) -> PackLook:
    right = size = 0
    wrong: dict[str, Look] = {}
    for start, end, members in _spans(places):
        try:
            data = memoryview(os.pread(file.descriptor, end - start, start))
        except OSError as error:
            wrong.update({raw.hex(): Look(0, Fault.BYTES, error.strerror or str(error)) for _, _, raw in members})
            continue
        size += len(data)
        for offset, length, raw in members:
            digest = blake3(data[offset - start : offset - start + length]).digest()
            if digest == raw:
                right += 1
            else:
                wrong[raw.hex()] = Look(
                    length, Fault.BYTES, f"its {length} bytes have the digest blake3:{digest.hex()}"
                )
    return PackLook(right, size, wrong, None)


def _spans(places: list[tuple[int, int, bytes]]) -> Iterator[tuple[int, int, list[tuple[int, int, bytes]]]]:
    """Gather neighbours, so that one read takes many: start, end and what lies between."""
    members: list[tuple[int, int, bytes]] = []
    start = end = 0
    for place in places:
        if members and (place[0] > end or end - start >= _SPAN):
            yield start, end, members
            members = []
        if not members:
            start = end = place[0]
        members.append(place)
        end = max(end, place[0] + place[1])
    if members:
        yield start, end, members
