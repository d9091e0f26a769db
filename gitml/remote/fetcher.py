"""What gitml asks of a place that data is downloaded from, whatever it speaks.

A tag is what a server names a version of the bytes by: an HTTP entity tag, or what a file system has in its place. It
is opaque; two that are equal stand for the same bytes. It comes back from pointers that anyone may have written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol


class Version(NamedTuple):
    """What a server has now. None: it does not say."""

    tag: str | None
    size: int | None


class Answer(NamedTuple):
    """The bytes of a version from `start` on; `blocks` may end early, which only `size` tells."""

    version: Version
    start: int
    blocks: Iterator[bytes]


class Fetcher(Protocol):
    """Reads the file at one URL.

    Both methods, and the blocks of their answers, raise `TransientError` where asking again may help and another
    `RemoteError` where it will not. An answer is closed with its context, read to the end or not.
    """

    def ask(self, known: str | None) -> AbstractContextManager[Answer | None]:
        """Ask for the bytes from the first one; None: the server still has the version whose tag is `known`."""

    def resume(self, version: Version, start: int) -> AbstractContextManager[Answer]:
        """Ask for the rest of a version; where that cannot be had, the answer has another version from byte 0."""
