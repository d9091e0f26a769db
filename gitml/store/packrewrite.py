"""Write packs anew without what is dead or damaged in them.

Crash story: what lives is published in new packs first, and only then the old ones are removed; a kill in between
leaves objects that are stored twice, which is no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from blake3 import blake3

from gitml.store.packer import PackWriter
from gitml.store.packfile import Pack, remove_pack, spans
from gitml.store.packset import PackSet, Place


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
            if writer is not None and writer.is_full(len(data)):
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


def _all(packs: PackSet, old: Sequence[Pack]) -> Iterator[tuple[Place, bytes, bytes]]:
    for pack in old:
        for start, end, inside in spans(sorted((offset, length, raw) for raw, offset, length in pack.entries())):
            data = packs.read(Place(pack, start, end - start))
            for offset, length, raw in inside:
                yield Place(pack, offset, length), raw, data[offset - start : offset - start + length]
