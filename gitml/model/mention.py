"""Digests that a text mentions, whatever the text is: a lock of a later format, one in conflict, a journal."""

from __future__ import annotations

import re
from collections.abc import Iterable

_DIGEST = re.compile(rb"blake3:[0-9a-f]{64}")
_OVERLAP = 7 + 64 - 1


def mentioned(chunks: Iterable[bytes]) -> frozenset[str]:
    """Give every `blake3:<64 hex>` in the bytes that the chunks are pieces of, also across their borders."""
    found: set[bytes] = set()
    rest = b""
    for chunk in chunks:
        text = rest + chunk
        found.update(_DIGEST.findall(text))
        rest = text[-_OVERLAP:]
    return frozenset(digest.decode("ascii") for digest in found)
