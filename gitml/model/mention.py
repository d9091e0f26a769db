"""Digests that a text mentions, whatever the text is: a lock of a later format, one in conflict, a journal."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

_DIGEST = re.compile(rb"""(blake3:[0-9a-f]{64})(?:",\s*(?:"files":\s?\d+,\s*)?"mode":\s?"(\w+)")?""")
_BEFORE = re.compile(rb""""mode":\s?"(\w+)",\s?"digest":\s?"\Z""")
_LOOK_BACK = 48
"""Bytes before a digest that its kind may take."""
_OVERLAP = 7 + 64 - 1
_LEAVES = frozenset((b"file", b"executable", b"symlink"))


class Mentions(NamedTuple):
    """Digests in their written form. `leaves`: those called a file or link at every mention; `folders`: at any."""

    digests: frozenset[str] = frozenset()
    leaves: frozenset[str] = frozenset()
    folders: frozenset[str] = frozenset()


def mentioned(chunks: Iterable[bytes]) -> Mentions:
    """Give every `blake3:<64 hex>` in the bytes that the chunks are pieces of, also across their borders.

    What a digest is called is taken from beside it, as entries are written in locks (names sorted) and in runs.
    """
    found: set[bytes] = set()
    leaves: set[bytes] = set()
    others: set[bytes] = set()
    folders: set[bytes] = set()
    rest = b""
    for chunk in chunks:
        text = rest + chunk
        for match in _DIGEST.finditer(text):
            digest, kind = match.groups()
            if kind is None:
                before = _BEFORE.search(text[max(0, match.start() - _LOOK_BACK) : match.start()])
                kind = before[1] if before is not None else None
            found.add(digest)
            (leaves if kind in _LEAVES else others).add(digest)
            if kind == b"directory":
                folders.add(digest)
        rest = text[-_OVERLAP:]
    return Mentions(_texts(found), _texts(leaves - others), _texts(folders))


def _texts(digests: set[bytes]) -> frozenset[str]:
    return frozenset(digest.decode("ascii") for digest in digests)
