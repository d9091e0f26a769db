"""What a glob matches: one meaning for declared inputs, code, edges between steps and lock entries.

- `*` matches any characters and `?` one, but never `/`.
- `[abc]`, `[a-z]` and `[!a]` (or `[^a]`) match one character, never `/`; `[*]` is a literal star. An unclosed `[` is
  a literal bracket.
- `**` as a whole component matches any number of components, none included; at the end it matches everything below
  (`data/**` matches `data/a/b` but not `data`). Elsewhere `**` is `*`.
- A name that begins with a dot is matched only by a component that begins with a literal dot; `**` goes through none.

Matching is on text, by code point and case, the same on every system.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from gitml.model.path import GLOB_CHARACTERS

_BRACKET = re.compile(r"\[([!^]?)(\]?[^\]]*)\]")
_SHOWN = r"(?!\.)[^/]+"


def compile_glob(pattern: str) -> Callable[[str], bool]:
    """Make the predicate of a checked pattern; it takes paths relative to the project.

    Time is at most quadratic in the path's length, whatever the pattern.
    """
    expression = re.compile(_Translator().whole(pattern.split("/")), re.DOTALL)
    return lambda path: expression.fullmatch(path) is not None


def compile_holder(pattern: str) -> Callable[[str], bool]:
    """Make the predicate of folders below which the pattern could match something.

    Exact for patterns without `**`; from the first `**` on, any folder could.
    """
    parts = pattern.split("/")
    translator = _Translator()
    expression = ""
    for index in range(len(parts) - 1, -1, -1):
        if parts[index] == "**":
            expression = r"(?:/.+)?" if index else r".+"
            continue
        if index == len(parts) - 1:
            continue
        one = translator.component(parts[index])
        expression = f"(?:/{one}{expression})?" if index else one + expression
    if not expression:
        return lambda path: path == "."
    compiled = re.compile(expression, re.DOTALL)
    return lambda path: path == "." or compiled.fullmatch(path) is not None


def literal_prefix(pattern: str) -> str:
    """Give the characters before the first that is special."""
    for at, character in enumerate(pattern):
        if character in GLOB_CHARACTERS:
            return pattern[:at]
    return pattern


class _Translator:
    """Writes a regular expression without exponential backtracking.

    Between two stars the leftmost match is always as good as any later one, so it is taken for good: a lookahead
    captures it and a back-reference consumes it (Python before 3.11 has no atomic groups). The same holds for the
    components between two `**`, because a component matches either hidden names only or none.
    """

    def __init__(self) -> None:
        self.groups = 0

    def whole(self, parts: list[str]) -> str:
        parts = [part for at, part in enumerate(parts) if part != "**" or parts[at - 1 : at] != ["**"]]
        runs: list[list[str]] = [[]]
        for part in parts:
            if part == "**":
                runs.append([])
            else:
                runs[-1].append(self.component(part))
        first, *rest = ("/".join(run) for run in runs)
        if not rest:
            return first
        expression = first + "/" if first else ""
        crossed = f"(?:{_SHOWN}/)*"
        for run in rest[:-1]:
            expression += self._atomic(f"{crossed}?{run}/")
        return expression + crossed + (rest[-1] or _SHOWN)

    def component(self, part: str) -> str:
        hidden = r"(?!\.)" if part[:1] in GLOB_CHARACTERS else ""
        pieces = [""]
        at = 0
        while at < len(part):
            bracket = _BRACKET.match(part, at) if part[at] == "[" else None
            if bracket:
                pieces[-1] += _bracket(bracket[1] != "", bracket[2])
                at = bracket.end()
                continue
            if part[at] != "*":
                pieces[-1] += "[^/]" if part[at] == "?" else re.escape(part[at])
            elif pieces[-1] or len(pieces) == 1:
                pieces.append("")
            at += 1
        if len(pieces) == 1:
            return hidden + pieces[0]
        middle = "".join(self._atomic(f"[^/]*?{piece}") for piece in pieces[1:-1])
        # A lone star matches a whole name, and no name is empty.
        lone = pieces == ["", ""]
        return hidden + pieces[0] + middle + ("[^/]+" if lone else "[^/]*") + pieces[-1]

    def _atomic(self, expression: str) -> str:
        self.groups += 1
        return f"(?=(?P<g{self.groups}>{expression}))(?P=g{self.groups})"


def _bracket(negated: bool, members: str) -> str:
    """Write a set; a range that runs backwards matches nothing, as in POSIX."""
    text = ""
    at = 0
    while at < len(members):
        first = last = members[at]
        if members[at + 1 : at + 2] == "-" and at + 2 < len(members):
            last = members[at + 2]
            at += 3
        else:
            at += 1
        if first <= last:
            text += f"{re.escape(first)}-{re.escape(last)}"
    if not text:
        return "[^/]" if negated else "(?!)"
    return f"(?!/)[{'^' if negated else ''}{text}]"
