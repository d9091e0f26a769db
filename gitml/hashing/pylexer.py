r"""gitml's own byte lexer for Python 3: the tokens that a code digest is made of.

`tokenize` and `ast` are not used, because what they give differs between Python versions (`tokenize` changed for a
third of real files at 3.12, `ast.dump` for all), and a key must not depend on who computes it. The lexer need not be
stricter than CPython, only never blinder: two sources with equal tokens mean the same to every Python that takes
both. Where the two could part (a backslash before the first token of a line, an encoding other than UTF-8), it
raises `LexError` and the file is digested by its bytes.

A token is its own text: `bytes`, from whose first bytes its type follows, so that a list of tokens is a flat list of
small shared objects. Three marks stand for the layout: `LINE` before each logical line, then one `INDENT` or some
`DEDENT`s where its nesting differs from the line above. Blank lines, comments, backslash continuations and newlines
in brackets leave no token; strings stay as written, with CR and CRLF as LF; an f- or t-string, with all that is nested
in it (PEP 701, PEP 750), is one token.

Comments that programs read are kept: a first line `#!…` and PEP 723 blocks come first, wherever they stood (their
place means nothing), and `# type: …`, other than `ignore`, in its place, with a newline before it when it has a line
of its own.

The tagged stream (`encode`), whose digest is `py/1`:

    bytes 0-10     `gitml-py/1\n`
    then, for each token:
      1 byte       type: `n` line, `i` indent, `d` dedent, `N` name, `0` number, `O` operator, `S` string,
                   `F` f- or t-string, `C` comment
      4 bytes      length of the text, big-endian (0 for n, i and d)
      n bytes      text

Speed: 10 to 13 MB/s on one core of a server (161 MB of real sources), 8 to 11 with the stream encoded; one pattern
finds each token with what is skipped before it, and only brackets, newlines and new texts reach more than a set.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from typing import NamedTuple

from gitml.hashing.pyfstring import fstring_end
from gitml.hashing.pytoken import CLOSES, CLOSING, F_PREFIX, F_STARTED, TOKEN, WORD, Refused

HEADER = b"gitml-py/1\n"
LINE = b"\n"
INDENT = b"\n+"
DEDENT = b"\n-"

_MAX_INDENTS = 100  # CPython's own limit


class LexError(ValueError):
    """The source is not Python that this lexer takes; `line` counts from 1.

    `tokens` holds what was read before, so that imports are found in files that no Python of today can read.
    """

    def __init__(self, message: str, line: int, tokens: Tokens | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.tokens = tokens


class Tokens(NamedTuple):
    """A lexed source: the tokens, and for each logical line the index of its `LINE` mark and its number from 1."""

    texts: list[bytes]
    lines: list[tuple[int, int]]


_KIND = re.compile(
    rb"(?P<N>" + WORD + rb"\Z)|(?P<S>(?:[uU]|[bB][rR]?|[rR][bB]?)?['\"])|(?P<F>" + F_PREFIX + rb"['\"])"
    rb"|(?P<number>\.?[0-9])|(?P<C>\n?#)|(?P<O>)"
)
_MARKS = {LINE: b"n\0\0\0\0", INDENT: b"i\0\0\0\0", DEDENT: b"d\0\0\0\0"}
_QUOTES = (b"'", b'"')
_COOKIE = re.compile(rb"[ \t\f]*#[^\n]*?coding[:=][ \t]*([-\w.]+)")
_BLANK_OR_COMMENT = re.compile(rb"[ \t\f]*(?:#[^\n]*)?(?:\n|\Z)")
_SHEBANG = re.compile(rb"#![^\n]*")
_BLOCK = re.compile(rb"^# /// [a-zA-Z0-9-]+\n(?:#(?: [^\n]*)?\n)+# ///$", re.MULTILINE)


def normalise(data: bytes) -> bytes:
    """Drop the byte order mark and turn CR and CRLF into LF."""
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data


def lex(data: bytes) -> Tokens:
    """Split a Python source into tokens.

    Raises:
        LexError: It has no tokens that all Pythons agree on.
    """
    source = b"\n" + normalise(data)  # so that each logical line begins with a newline, and counting them numbers it
    refusal = _refusal(source)
    tokens = _Lexer(source).run()
    if refusal is not None:
        raise LexError(refusal, 1, tokens)
    return tokens


def encode(texts: Sequence[bytes]) -> bytes:
    """Write the tagged stream that the module's text describes."""
    return HEADER + b"".join(map(_Encoded(_MARKS).__getitem__, texts))


def line_of(lines: Sequence[tuple[int, int]], index: int) -> int:
    """Number, from 1, the line on which the logical line of the token at `index` begins."""
    low, high = 0, len(lines)
    while low < high:
        middle = (low + high) // 2
        if lines[middle][0] <= index:
            low = middle + 1
        else:
            high = middle
    return lines[low - 1][1] if low else 1


def _refusal(source: bytes) -> str | None:
    """Say what keeps a source from having a digest by tokens although its tokens may be read."""
    if b"\0" in source:
        return "it holds a NUL"
    at = 1
    for _ in range(2):
        cookie = _COOKIE.match(source, at)
        if cookie:
            if not _is_utf8(cookie[1]):
                return f"its encoding is {cookie[1].decode('ascii', 'replace')}"
            break
        blank = _BLANK_OR_COMMENT.match(source, at)
        if not blank:
            break
        at = blank.end()
    try:
        source.decode("utf-8")
    except UnicodeDecodeError:
        return "it is not UTF-8"
    return None


def _is_utf8(name: bytes) -> bool:
    """Tell whether a declared encoding is UTF-8 by CPython's own rule (`utf-8-unix` is)."""
    name = name.lower().replace(b"_", b"-")
    return name in (b"utf8", b"utf-8") or name.startswith(b"utf-8-")


class _Encoded(dict[bytes, bytes]):
    """Tokens by text, encoded once: a file has a tenth as many different tokens as tokens."""

    def __missing__(self, text: bytes) -> bytes:
        made = _kind(text) + struct.pack(">I", len(text)) + text
        self[text] = made
        return made


def _kind(text: bytes) -> bytes:
    found = _KIND.match(text)
    name = found.lastgroup if found else None
    return b"0" if name == "number" else (name or "O").encode()


class _Lexer:
    """The state of one pass: the tokens so far, the open brackets, and the indentations."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.texts: list[bytes] = []
        self.lines: list[tuple[int, int]] = []
        self.open: list[bytes] = []  # what closes each open bracket
        self.indents = [(0, 0)]
        self.margin = b""
        self.plain: set[bytes] = set()  # tokens met before that need no thought
        self.counted = (0, 0)  # an offset and the number of newlines before it

    def run(self) -> Tokens:
        """Read the whole source."""
        self._kept_comments()
        at: int | None = 0
        try:
            while at is not None:
                at = self._span(at)
        except Refused as refused:
            raise LexError(refused.why, self._line(refused.at), self._tokens()) from None
        return self._tokens()

    def _tokens(self) -> Tokens:
        return Tokens(self.texts, self.lines)

    def _kept_comments(self) -> None:
        shebang = _SHEBANG.match(self.source, 1)
        if shebang:
            self.texts.append(shebang[0].rstrip())
        if b"\n# /// " in self.source:
            self.texts.extend(_BLOCK.findall(self.source))

    def _span(self, start: int) -> int | None:
        """Read up to the end (None), or over a token that the pattern leaves to code (the offset to go on from)."""
        append = self.texts.append
        plain = self.plain
        for match in TOKEN.finditer(self.source, start):
            text = match[1]
            if text in plain:
                append(text)
            elif text in CLOSES:
                self.open.append(CLOSES[text])
                append(text)
            elif text in CLOSING:
                if not self.open or self.open.pop() != text:
                    raise Refused("a bracket does not match", match.start(1))
                append(text)
            elif text is None:
                end = self._odd(match[2], match)
                if end != match.end():
                    return end
            elif text[:1] == b"\n":
                self._newline(match.start(1), text[1:])
            else:
                plain.add(text)
                append(text)
        raise AssertionError("the pattern matches at the end")

    def _newline(self, at: int, margin: bytes) -> None:
        """Begin a logical line, unless a bracket is open."""
        if self.open:
            return
        self.lines.append((len(self.texts), self._line(at + 1)))
        self.texts.append(LINE)
        if margin == self.margin:
            return
        self.margin = margin
        width = _width(margin)
        if width[0] > self.indents[-1][0]:
            if width[1] <= self.indents[-1][1] or len(self.indents) >= _MAX_INDENTS:
                raise Refused("tabs and spaces are mixed, or the nesting is too deep", at + 1)
            self.indents.append(width)
            self.texts.append(INDENT)
            return
        while width[0] < self.indents[-1][0]:
            self.indents.pop()
            self.texts.append(DEDENT)
        if width != self.indents[-1]:
            raise Refused("the indentation matches no outer level", at + 1)

    def _odd(self, text: bytes, match: re.Match[bytes]) -> int | None:
        """Take a token that the pattern could not; give the offset to go on from."""
        at = match.start(2)
        if not text:
            self._finish(match)
            return None
        if F_STARTED.match(text):
            end = fstring_end(self.source, text, match.end(), 0)
            self.texts.append(self.source[at:end])
            return end
        if text[:1] == b"#":
            own_line = not self.source[self.source.rfind(b"\n", 0, at) : at].strip()
            self.texts.append((b"\n" if own_line else b"") + text.rstrip())
        elif _KIND.match(text).lastgroup == "N":  # type: ignore[union-attr]  # it matches the empty string
            self.texts.append(text)
        elif text != b"\n":
            raise Refused("a string is never closed" if text in _QUOTES else f"{text!r} is no token", at)
        elif not self.open:  # the levels of indentation that CPython then counts changed with its versions
            raise Refused("a line begins with a backslash", at + 1)
        return match.end()

    def _finish(self, match: re.Match[bytes]) -> None:
        if self.open:
            raise Refused("a bracket is never closed", match.end())
        if b"\\" in match[0] and _ends_continued(match[0]):
            raise Refused("the last line is continued by a backslash", match.end())
        self.texts.extend([DEDENT] * (len(self.indents) - 1))

    def _line(self, offset: int) -> int:
        at, count = self.counted
        if offset < at:
            at, count = 0, 0
        self.counted = (offset, count + self.source.count(b"\n", at, offset))
        return self.counted[1]


def _width(margin: bytes) -> tuple[int, int]:
    """Give the column of an indentation with tabs of 8 and of 1: CPython refuses lines whose order differs."""
    wide = narrow = 0
    for byte in margin:
        if byte == 0x0C:
            wide = narrow = 0
        else:
            wide = (wide // 8 + 1) * 8 if byte == 0x09 else wide + 1
            narrow += 1
    return wide, narrow


def _ends_continued(skipped: bytes) -> bool:
    """Tell whether the last line with anything on it, before the end, is a backslash outside a comment."""
    return skipped.rstrip(b" \t\f").endswith(b"\\\n") and b"#" not in skipped[skipped.rfind(b"\n", 0, -2) + 1 :]
