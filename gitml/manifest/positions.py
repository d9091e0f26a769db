"""Where keys and values stand in TOML source.

The TOML reader keeps no positions, and keeping them would cost every run what only a mistake needs. So the text is
walked again when there is something to report: by a scanner that trusts the reader to have accepted the syntax, and
that knows no more of TOML than where keys, strings and brackets begin and end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Union

Path = tuple[Union[str, int], ...]

_DEEPEST = 64
_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BLANK = re.compile(r"[ \t]*")
_KEY = re.compile(r"""[ \t]*(?:"((?:\\.|[^"\\\n])*)"|'([^'\n]*)'|([A-Za-z0-9_-]+))[ \t]*""")
_STRING = re.compile(
    r"""
    "{3} (?:\\. | [^\\])*? "{3,5} (?!")     # in three quotes, of which up to two more may be the text's own
    | '{3} .*? '{3,5} (?!')
    | " (?:\\. | [^"\\\n])* "
    | ' [^'\n]* '
    """,
    re.DOTALL | re.VERBOSE,
)
_SCALAR = re.compile(r"[^,\]}#\n\r]*")
_SKIP = re.compile(r"""[\[\]{}]|#[^\n]*|["']|[^\[\]{}#"']+""")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_SHORT = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """A place in a text: line and column from 1, in characters, and the whole line without its end."""

    line: int
    column: int
    text: str


@dataclass(frozen=True, slots=True)
class _Span:
    """Offsets of a key (or list element) and of its value; a table's header is both."""

    key: int
    start: int
    end: int


def position_of(text: str, offset: int) -> Position:
    """Turn an offset into a line and a column."""
    offset = max(0, min(offset, len(text)))
    begin = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    line = text[begin : len(text) if end < 0 else end].rstrip("\r")
    return Position(line=text.count("\n", 0, offset) + 1, column=offset - begin + 1, text=line)


def locate(text: str, path: Path, *, value: bool = False, within: str | None = None) -> Position:
    """Find where a key (or, with `value`, its value) stands in TOML source that the reader accepted.

    A path that ends in a number leads to that element of a list. A path that is not in the text is shortened until
    it is, so that there is always an answer; the empty path is the start of the text. `within` is text to look for
    inside the value; where escapes hide it, the value's start is given.
    """
    spans = _spans(text)
    for length in range(len(path), 0, -1):
        span = spans.get(path[:length])
        if span is None:
            continue
        if length == len(path):
            inside = text.find(within, span.start, span.end) if within else -1
            if inside >= 0:
                return position_of(text, inside)
            return position_of(text, span.start if value else span.key)
        return position_of(text, span.key)
    return position_of(text, 0)


def span_of(text: str, path: Path) -> tuple[int, int, int] | None:
    """Give the offsets of a key, of its value and of the value's end, in TOML source that the reader accepted."""
    span = _spans(text).get(path)
    return None if span is None else (span.key, span.start, span.end)


def _spans(text: str) -> dict[Path, _Span]:
    """Map every path of the text to its first appearance."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.spans


class _Scanner:
    """One pass over the text; `at` is the offset of the next character."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.spans: dict[Path, _Span] = {}
        self._rows: dict[Path, int] = {}

    def document(self) -> None:
        table: Path = ()
        while True:
            self.at = _end(_SPACE, self.text, self.at)
            if self.at >= len(self.text):
                return
            before = self.at
            if self.text.startswith("[", self.at):
                table = self._header()
            else:
                self._pair(table, 0)
            if self.at == before:  # not TOML: nothing more can be told
                return

    def _header(self) -> Path:
        start = self.at
        array = self.text.startswith("[[", start)
        self.at += 2 if array else 1
        path: Path = ()
        for name, offset in self._keys():
            path = self._current((*path, name))
            self._note(path, _Span(offset, offset, self.at))
        if array:
            rows = self._rows.get(path, 0)
            self._rows[path] = rows + 1
            path = (*path, rows)
            self._note(path, _Span(start, start, self.at))
        self.at += 2 if array else 1
        return path

    def _current(self, path: Path) -> Path:
        """A header that goes through an array of tables means its latest row, unless it opens a new row itself."""
        rows = self._rows.get(path)
        opens = self.text.startswith("]]", self.at)
        return path if rows is None or opens else (*path, rows - 1)

    def _pair(self, table: Path, depth: int) -> None:
        path = table
        found: list[tuple[Path, int]] = []
        for name, offset in self._keys():
            path = (*path, name)
            found.append((path, offset))
        if not found:
            return
        self.at = _end(_BLANK, self.text, self.at + 1)  # the equals sign
        start = self.at
        self._value(path, depth)
        for prefix, offset in found:
            self._note(prefix, _Span(offset, start, self.at))

    def _keys(self) -> Iterator[tuple[str, int]]:
        while match := _KEY.match(self.text, self.at):
            kind = match.lastindex or 3
            offset = match.start(kind) - (kind < 3)
            self.at = match.end()
            last = not self.text.startswith(".", self.at)
            if not last:
                self.at += 1
            yield (_unescape(match[1]) if kind == 1 else match[kind]), offset
            if last:
                return

    def _value(self, path: Path, depth: int) -> None:
        opening = self.text[self.at : self.at + 1]
        if opening in ("[", "{") and depth >= _DEEPEST:
            self._skip()
        elif opening == "[":
            self._array(path, depth)
        elif opening == "{":
            self._inline(path, depth)
        else:
            string = _STRING.match(self.text, self.at)
            if string:
                self.at = string.end()
            else:
                scalar = _SCALAR.match(self.text, self.at)
                self.at = self.at + len(scalar[0].rstrip()) if scalar else self.at

    def _array(self, path: Path, depth: int) -> None:
        self.at += 1
        index = 0
        while not self._closed("]"):
            start = self.at
            self._value((*path, index), depth + 1)
            self._note((*path, index), _Span(start, start, self.at))
            if self.at == start:  # not TOML: nothing more can be told
                return
            index += 1

    def _inline(self, path: Path, depth: int) -> None:
        self.at += 1
        while not self._closed("}"):
            before = self.at
            self._pair(path, depth + 1)
            if self.at == before:
                return

    def _closed(self, bracket: str) -> bool:
        """Go over space and a comma; tell whether the bracket (which is taken) or the text's end comes next."""
        self.at = _end(_SPACE, self.text, self.at)
        if self.text.startswith(",", self.at):
            self.at = _end(_SPACE, self.text, self.at + 1)
        if self.text.startswith(bracket, self.at):
            self.at += 1
            return True
        return self.at >= len(self.text)

    def _skip(self) -> None:
        """Go over a bracketed value without looking at what is in it, at any depth."""
        open_brackets = 0
        while match := _STRING.match(self.text, self.at) or _SKIP.match(self.text, self.at):
            self.at = match.end()
            open_brackets += (match[0] in ("[", "{")) - (match[0] in ("]", "}"))
            if open_brackets == 0:
                return

    def _note(self, path: Path, span: _Span) -> None:
        self.spans.setdefault(path, span)


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _unescape(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        code = match[1] or match[2] or match[3]
        return chr(int(code, 16)) if code else _SHORT.get(match[4], match[4])

    return _ESCAPE.sub(one, text)
