"""Where a value may stand in a shell command: the quoting state at each place, by POSIX rules (XCU 2.2 and 2.6).

A value is written as one quoted word. That is right only where the shell reads plain words. Inside quotes its own
quotes would become text, and in a comment, a here-document, backquotes or arithmetic it could end the construct and
run as code. So a place is either plain or named for the message; what is hard to judge is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_BREAK = frozenset(" \t\n;|&()<>")
_NAMES = {
    "'": "single quotes",
    "$'": "single quotes",
    '"': "double quotes",
    "`": "backquotes",
    "${": "${ }",
    "$((": "arithmetic",
    "#": "a comment",
    "<<": "a here-document",
}
_TOKEN = re.compile(r"""\\.?|\$\(\(|\$\(|\$\{|\$'|<<<|<<|['"`#(){}\n]|[^\\$<'"`#(){}\n]+|.""", re.DOTALL)


def places(texts: Sequence[str]) -> list[str | None]:
    """Judge the gap after each text but the last: None where a word may stand, else what the gap is inside of.

    The gaps are where values go, so each counts as one plain character of a word.
    """
    scanner = _Scanner()
    found = []
    for text in texts[:-1]:
        scanner.feed(text)
        found.append(scanner.inside())
        scanner.word_start = False
    return found


def joined(before: str, after: str) -> bool:
    """Tell whether a gap between two texts is part of a longer word."""
    return bool(before and before[-1] not in _BREAK) or bool(after and after[0] not in _BREAK)


class _Scanner:
    def __init__(self) -> None:
        self.stack: list[str] = []
        self.word_start = True
        self._escaped = False
        self._heredoc = False

    def inside(self) -> str | None:
        if self._escaped:
            self._escaped = False
            return "a backslash escape"
        barred = [state for state in self.stack if state in ("`", "$((", "${", "<<")]
        if barred:
            return _NAMES[barred[-1]]
        return _NAMES.get(self.stack[-1]) if self.stack else None

    def feed(self, text: str) -> None:
        self._escaped = False
        for match in _TOKEN.finditer(text):
            token = match[0]
            self._escaped = False
            state = self.stack[-1] if self.stack else ""
            if state in ("'", "#", "<<", "$'"):
                self._literal(state, token)
            elif state == '"':
                self._double(token)
            else:
                self._plain(state, token)
            self.word_start = token[-1] in _BREAK

    def _literal(self, state: str, token: str) -> None:
        """In single quotes, comments and here-documents only the end means anything."""
        if state == "'":
            # A backslash is text here, so the quote after it still closes.
            if token.endswith("'"):
                self.stack.pop()
        elif state == "$'":
            self._escaped = token == "\\"
            if token == "'" or (token == "$'"):
                self.stack.pop()
        elif state == "#" and token.endswith("\n"):
            self.stack.pop()
            self._newline()

    def _double(self, token: str) -> None:
        if token.startswith("\\"):
            self._escaped = token == "\\"
        elif token == '"':
            self.stack.pop()
        elif token in ("$(", "$((", "${"):
            self._open(token)
        elif token == "`":
            self._backquote()

    def _plain(self, state: str, token: str) -> None:
        if token.startswith("\\"):
            self._escaped = token == "\\"
        elif token in ("'", '"', "$'", "$(", "$((", "${", "("):
            self._open(token)
        elif token == "`":
            self._backquote()
        elif token in (")", "}"):
            self._close(state, token)
        elif token == "#" and self.word_start:
            self.stack.append("#")
        elif token == "<<" and state != "$((":
            self._heredoc = True
        elif token == "\n":
            self._newline()

    def _open(self, token: str) -> None:
        self.stack += [token] * (2 if token == "$((" else 1)  # arithmetic takes two brackets to close

    def _close(self, state: str, token: str) -> None:
        if (token == ")" and state in ("(", "$(", "$((")) or (token == "}" and state == "${"):
            self.stack.pop()

    def _backquote(self) -> None:
        if "`" in self.stack:
            while self.stack.pop() != "`":
                pass
        else:
            self.stack.append("`")

    def _newline(self) -> None:
        """A here-document's text begins at the next line; its end is not looked for, the rest counts as its text."""
        if self._heredoc:
            self.stack.append("<<")
