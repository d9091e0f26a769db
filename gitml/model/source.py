"""Sources: raw data that no step makes and Git does not hold."""

from __future__ import annotations

from dataclasses import dataclass

from gitml.model.tree import Entry

ALGORITHMS = ("blake3", "sha256", "md5")
"""Digests that publishers give, the one that is asked for first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceDeclaration:
    """A `[source."path"]` of the declaration: where the bytes are published.

    `expected`: by algorithm (one of `ALGORITHMS`), the lower-case hex digest that the downloaded file must have.
    """

    path: str
    url: str
    expected: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Pointer:
    """The committed record of a source: what stands at its path, and, if it was downloaded, from where.

    `etag`: what the server named this version by; None where it gave nothing, then the digest alone pins it.
    """

    path: str
    entry: Entry
    url: str | None = None
    etag: str | None = None
