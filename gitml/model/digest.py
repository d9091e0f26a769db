"""The name of content: `blake3:` and 64 hexadecimal digits."""

from __future__ import annotations

import re

PREFIX = "blake3:"
_FORM = re.compile(r"blake3:[0-9a-f]{64}\Z")


class Digest(str):
    """A checked `blake3:<64 hex>`; a `str`, so that it sorts, hashes and serialises as its text.

    Use `parse` for text from outside and `from_raw` for 32 bytes that were computed here.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: object) -> Digest:
        """Check text that came from a file.

        Raises:
            ValueError: It is not a string, names another algorithm, or is malformed. An algorithm is never guessed.
        """
        if not isinstance(text, str) or not _FORM.match(text):
            raise ValueError(f"not a digest: {text!r} (expected blake3:<64 hex digits>)")
        return cls(text)

    @classmethod
    def from_raw(cls, raw: bytes) -> Digest:
        """Name content by the 32 bytes of its BLAKE3 hash."""
        return cls(PREFIX + raw.hex())

    @property
    def hex(self) -> str:
        """The 64 hexadecimal digits, as `b3sum` prints them."""
        return self[len(PREFIX) :]

    @property
    def raw(self) -> bytes:
        """The 32 bytes of the hash."""
        return bytes.fromhex(self[len(PREFIX) :])

    @property
    def short(self) -> str:
        """Twelve hexadecimal digits, for messages."""
        return self[len(PREFIX) : len(PREFIX) + 12]
