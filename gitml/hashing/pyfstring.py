"""Finds the end of an f- or t-string: literal text and replacement fields nest without limit in it (PEP 701).

Older Pythons allow less inside a field, and whatever they allow ends at the same place.
"""

from __future__ import annotations

import re

from gitml.hashing.pytoken import CLOSES, CLOSING, F_STARTED, TOKEN, WORD, Refused

_MAX_NESTED = 100  # CPython takes 150 f-strings in one another; below Python's recursion limit by a wide margin
_F_LITERAL = {  # what ends a run of literal text in an f-string, by its quotes
    quotes: re.compile(rb"[^{}\\" + quotes[:1] + (b"\\n" if len(quotes) == 1 else b"") + rb"]*")
    for quotes in (b"'", b'"', b"'''", b'"""')
}
_MAY_STAND_IN_FIELD = re.compile(rb"[!\n#]|" + WORD)
_NAMED = re.compile(rb"\\N\{[^{}]*\}")


def fstring_end(source: bytes, opening: bytes, at: int, depth: int) -> int:
    """Find the offset after an f- or t-string whose `opening` (prefix and quotes) ends at `at`."""
    quotes = opening.lstrip(b"fFtTrR")
    raw = len(opening) - len(quotes) == 2
    if depth > _MAX_NESTED:
        raise Refused("f-strings are nested too deeply", at)
    while True:
        at = _literal_end(source, quotes, raw, at)
        if source.startswith(quotes, at):
            return at + len(quotes)
        if source[at : at + 2] in (b"{{", b"}}"):
            at += 2
        elif source[at : at + 1] == b"{":
            at = _field_end(source, quotes, raw, at + 1, depth)
        elif len(quotes) == 3 and source[at : at + 1] == quotes[:1]:
            at += 1
        else:
            raise Refused("an f-string is never closed", at)


def _literal_end(source: bytes, quotes: bytes, raw: bool, at: int) -> int:
    """Find the next brace, quote or forbidden newline; a backslash hides a quote but not a brace."""
    literal = _F_LITERAL[quotes]
    while True:
        at = literal.match(source, at).end()  # type: ignore[union-attr]  # it matches the empty string
        if source[at : at + 1] != b"\\":
            return at
        named = None if raw else _NAMED.match(source, at)
        if named:
            at = named.end()
        else:
            at += 1 if source[at + 1 : at + 2] in (b"{", b"}") else 2


def _field_end(source: bytes, quotes: bytes, raw: bool, at: int, depth: int) -> int:
    """Find the offset after the `}` of a replacement field whose expression begins at `at`."""
    closing = [b"}"]
    while True:
        match: re.Match[bytes] = TOKEN.match(source, at)  # type: ignore[assignment]  # it matches anything
        text: bytes = match[match.lastindex or 0]
        at = match.end()
        if text in CLOSES:
            closing.append(CLOSES[text])
        elif text in CLOSING:
            if closing.pop() != text:
                raise Refused("a bracket does not match", at)
            if not closing:
                return at
        elif len(closing) == 1 and text in (b":", b":="):
            return _format_end(source, quotes, raw, at - len(text) + 1, depth)
        elif match.lastindex == 2 and F_STARTED.match(text):
            at = fstring_end(source, text, at, depth + 1)
        elif match.lastindex == 2 and not _MAY_STAND_IN_FIELD.match(text):
            raise Refused("an f-string is never closed" if not text else f"{text!r} is no token", at)


def _format_end(source: bytes, quotes: bytes, raw: bool, at: int, depth: int) -> int:
    """Find the offset after the `}` that ends a format specification, with the fields nested in it."""
    if depth > _MAX_NESTED:
        raise Refused("f-strings are nested too deeply", at)
    while True:
        at = _literal_end(source, quotes, raw, at)
        byte = source[at : at + 1]
        if byte == b"}":
            return at + 1
        if byte == b"{":
            at = _field_end(source, quotes, raw, at + 1, depth + 1)
        elif len(quotes) == 3 and byte == quotes[:1] and not source.startswith(quotes, at):
            at += 1
        else:
            raise Refused("an f-string is never closed", at)
