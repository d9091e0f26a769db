"""Write packs anew without what is dead or damaged in them.

Crash story: what lives is published in new packs first, and only then the old ones are removed; a kill in between
leaves objects that are stored twice, which is no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from blake3 import blake3

from gitml.store.packer import PackWriter
from gitml.store.packfile import LARGEST, Pack, remove_pack
from gitml.store.packset import PackSet, Place

_READ_AT_ONCE = 4 << 20
_GAP = 64 << 10


def rewrite(
    packs: PackSet,
    root: str,
    old: Sequence[Pack],
    live: Callable[[bytes], bool],
    set_aside: Callable[[Place, bytes, bytes], object],
) -> list[str]:
    """Publish the objects of `old` packs for which `live` answers true of the raw digest, then remove those packs.

    Gives the paths of the new packs. Objects are verified on the way; a damaged one goes to `set_aside`.

    Raises:
        OSError: The new packs cannot be written; the old ones stand as they did.
    """
    written: list[str] = []
    writer: PackWriter | None = None
    seen: set[bytes] = set()
    try:
        for place, raw, data in _all(packs, old):
            if raw in seen or packs.is_damaged(place.pack, raw) or not live(raw):
                continue
            if blake3(data).digest() != raw:
                set_aside(place, raw, data)
                continue
            seen.add(raw)
            if writer is not None and writer.size + len(data) > LARGEST:
                written.append(writer.publish())
                writer = None
            writer = writer or PackWriter(root)
            writer.add(raw, data)
        if writer is not None:
            written.append(writer.publish())
            writer = None
    finally:
        if writer is not None:
            writer.discard()
    for pack in old:
        if pack.path not in written:
            remove_pack(pack.path)
    return written


def read_places(packs: PackSet, places: Sequence[tuple[bytes, Place]]) -> Iterator[tuple[Place, bytes, bytes]]:
    """Read objects in the order in which they lie, neighbours at once; gives place, raw digest and unchecked bytes.

    Raises:
        FileNotFoundError: A collector has removed a pack.
    """
    order = sorted(places, key=lambda item: (item[1].pack.path, item[1].offset))
    first = 0
    while first < len(order):
        last, start = first, order[first][1]
        end = start.offset + start.length
        while last + 1 < len(order):
            place = order[last + 1][1]
            reach = max(end, place.offset + place.length)
            if place.pack is not start.pack or place.offset > end + _GAP or reach - start.offset > _READ_AT_ONCE:
                break
            last, end = last + 1, reach
        whole = packs.read(Place(start.pack, start.offset, end - start.offset))
        for raw, place in order[first : last + 1]:
            at = place.offset - start.offset
            yield place, raw, whole[at : at + place.length]
        first = last + 1


def _all(packs: PackSet, old: Sequence[Pack]) -> Iterator[tuple[Place, bytes, bytes]]:
    for pack in old:
        yield from read_places(packs, [(raw, Place(pack, at, length)) for raw, at, length in pack.entries()])
