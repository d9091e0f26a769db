"""Digests as publishers give them, beside BLAKE3, which names content here anyway."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gitml.model.digest import Digest
from gitml.remote.error import WrongDigestError

_BUFFER = 4 << 20


def new_hashers(algorithms: Iterable[str]) -> dict[str, Any]:
    """Make a hasher for each named algorithm but BLAKE3. MD5 finds a broken download; it keeps nobody out."""
    return {name: hashlib.new(name, usedforsecurity=False) for name in algorithms if name != "blake3"}


def compare_published(
    url: str, digest: Digest, hashers: Mapping[str, Any], expected: Sequence[tuple[str, str]]
) -> None:
    """Compare what hashers have seen with the hex digests that a publisher gives.

    Raises:
        WrongDigestError: One of them differs.
    """
    for algorithm, digits in expected:
        found = hashers[algorithm].hexdigest() if algorithm in hashers else digest.hex
        if found != digits:
            raise WrongDigestError(url, algorithm, expected=digits, found=found)


def check_published(path: str, url: str, digest: Digest, expected: Sequence[tuple[str, str]]) -> None:
    """Compare a file, of which the digest is known, with what its publisher says; it is read only where that must be.

    Raises:
        WrongDigestError: It is something else.
    """
    hashers = new_hashers(name for name, _ in expected)
    if hashers:
        with open(path, "rb", buffering=0) as file:
            while data := file.read(_BUFFER):
                for hasher in hashers.values():
                    hasher.update(data)
    compare_published(url, digest, hashers, expected)


def check_bytes(data: bytes, url: str, digest: Digest, expected: Sequence[tuple[str, str]]) -> None:
    """Compare bytes, of which the digest is known, with what their publisher says; raises as `check_published`."""
    hashers = new_hashers(name for name, _ in expected)
    for hasher in hashers.values():
        hasher.update(data)
    compare_published(url, digest, hashers, expected)
