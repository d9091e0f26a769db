"""`${{ … }}`: parameters, matrix values and paths in commands and paths.

    expression = name ("." segment)*        segment = letters, digits, "_", "-", or text in quotes
    "$${{" is the text "${{".

There is no arithmetic, no condition and no call: a command that needs them belongs in a script.
"""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from gitml.manifest.lookup import DOTTED, lookup, split_name
from gitml.manifest.problems import Fault
from gitml.manifest.shell import joined, places
from gitml.manifest.table import Refused
from gitml.model.value import Value

_OPENING = re.compile(r"\$?\$\{\{")
_EXPRESSION = re.compile(rf"\s*({DOTTED})\s*\}}\}}")
_ESCAPED = "$${{"


@dataclass(frozen=True, slots=True)
class Hole:
    """One `${{ … }}`: the names in it and its text as written, for messages."""

    names: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Template:
    """Text with holes: `texts` is one longer than `holes`, which stand between them."""

    texts: tuple[str, ...]
    holes: tuple[Hole, ...]


@functools.lru_cache(maxsize=1024)
def parse(text: str) -> Template:
    """Take text apart.

    Raises:
        Refused: An expression is not closed or cannot be read.
    """
    texts = [""]
    holes: list[Hole] = []
    at = 0
    while opening := _OPENING.search(text, at):
        texts[-1] += text[at : opening.start()]
        at = opening.end()
        if opening[0] == _ESCAPED:
            texts[-1] += _ESCAPED[1:]
            continue
        expression = _EXPRESSION.match(text, at)
        if not expression:
            raise Refused(_unreadable(text, opening))
        at = expression.end()
        holes.append(Hole(split_name(expression[1]), text[opening.start() : at]))
        texts.append("")
    texts[-1] += text[at:]
    return Template(tuple(texts), tuple(holes))


def has_hole(text: str) -> bool:
    """Tell whether a text must be parsed at all."""
    return "${{" in text


def in_shell(text: str, scope: Mapping[str, Value]) -> str:
    """Fill a shell command: a value becomes one quoted word or a part of one, a list several words.

    Raises:
        Refused: An expression, its place in the command or its value is wrong.
    """
    if not has_hole(text):
        return text
    template = _checked_for_shell(text)
    parts = [template.texts[0]]
    for at, (hole, value) in enumerate(_values(template, scope)):
        before, after = template.texts[at], template.texts[at + 1]
        if _is_list(value) and (joined(before, after) or (at and not before) or _meets_hole(template, at)):
            raise _at(
                hole, f"a list cannot be a part of a word: {hole.source}", "put spaces around it, or name one element"
            )
        parts += (" ".join(shlex.quote(word) for word in _words(hole, value)), after)
    return "".join(parts)


def in_words(texts: Sequence[str], scope: Mapping[str, Value]) -> tuple[str, ...]:
    """Fill argv: an element that is one expression with a list becomes as many words; else values become text.

    Raises:
        Refused: The faults' paths begin with the number of the element.
    """
    words: list[str] = []
    for index, text in enumerate(texts):
        try:
            words += _argument(text, scope)
        except Refused as refused:  # noqa: PERF203 - the number of the element is known only here
            raise Refused(*(replace(fault, path=(index, *fault.path)) for fault in refused.faults)) from refused
    return tuple(words)


def in_path(text: str, scope: Mapping[str, Value]) -> str:
    """Fill a path: values become text as they are.

    Raises:
        Refused: An expression or its value is wrong.
    """
    return _plain(parse(text), scope) if has_hole(text) else text


def _argument(text: str, scope: Mapping[str, Value]) -> Sequence[str]:
    if not has_hole(text):
        return (text,)
    template = parse(text)
    if template.texts == ("", ""):
        ((hole, value),) = _values(template, scope)
        return _words(hole, value)
    return (_plain(template, scope),)


def _plain(template: Template, scope: Mapping[str, Value]) -> str:
    parts = [template.texts[0]]
    for at, (hole, value) in enumerate(_values(template, scope)):
        if _is_list(value):
            raise _at(hole, f"a list cannot stand here: {hole.source}", "name one element, such as params.name.0")
        parts += (scalar_text(hole, value), template.texts[at + 1])
    return "".join(parts)


def _values(template: Template, scope: Mapping[str, Value]) -> Iterator[tuple[Hole, Value]]:
    for hole in template.holes:
        try:
            yield hole, lookup(scope, hole.names)
        except Refused as refused:  # noqa: PERF203 - the text of the expression is known only here
            raise Refused(*(replace(fault, within=hole.source) for fault in refused.faults)) from refused


def _words(hole: Hole, value: Value) -> list[str]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [scalar_text(hole, element) for element in value]
    return [scalar_text(hole, value)]


def scalar_text(hole: Hole, value: Value) -> str:
    """Write one value as a program would expect it: `true`, `7`, `0.1`, text as it is, ISO dates.

    Raises:
        Refused: It is null, a table, a list or has a NUL, none of which can be a word.
    """
    if isinstance(value, str):
        if "\0" in value:
            raise _at(hole, f"{hole.source} has a NUL, which no command line can carry")
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if value is None:
        raise _at(hole, f"{hole.source} is null, which has no text", "read it in the code with gitml.params() instead")
    if isinstance(value, (Mapping, Sequence)):
        kind = "table" if isinstance(value, Mapping) else "list in a list"
        raise _at(hole, f"{hole.source} is a {kind}, which has no text", "name one value in it")
    return value.isoformat()


@functools.lru_cache(maxsize=1024)
def _checked_for_shell(text: str) -> Template:
    template = parse(text)
    for hole, inside in zip(template.holes, places(template.texts), strict=True):
        if inside is not None:
            raise _at(hole, f"{hole.source} stands inside {inside}", _shell_hint(inside))
    return template


def _shell_hint(inside: str) -> str:
    if inside.endswith("quotes") and inside != "backquotes":
        return "leave the quotes out: a value is quoted by gitml and always lands as one word"
    if inside == "backquotes":
        return "use $( ) instead of backquotes"
    return "a value can only be a word of its own or a part of a plain word; assign it to a variable first: x=${{ … }}"


def _meets_hole(template: Template, at: int) -> bool:
    return at + 1 < len(template.holes) and not template.texts[at + 1]


def _is_list(value: Value) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _at(hole: Hole, message: str, hint: str | None = None) -> Refused:
    return Refused(Fault(path=(), message=message, hint=hint, value=True, within=hole.source))


def _unreadable(text: str, opening: re.Match[str]) -> Fault:
    end = text.find("}}", opening.end())
    source = text[opening.start() : end + 2] if end >= 0 else "${{"
    if end < 0:
        return Fault(
            path=(),
            message="'${{' is never closed",
            hint="close it with '}}', or write '$${{' for the text",
            within=source,
        )
    hint = "write names with dots between them, like ${{ params.train.lr }}; write '$${{' for the text itself"
    return Fault(path=(), message=f"cannot read the expression {source}", hint=hint, within=source)
