"""Dotted names, such as `train.layers.0` or `train."a.b"`, and the values that they name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from gitml.manifest.problems import nearest
from gitml.manifest.table import wrong
from gitml.model.value import Value

SEGMENT = r"""[\w-]+|"[^"]*"|'[^']*'"""
DOTTED = rf"(?:{SEGMENT})(?:\.(?:{SEGMENT}))*"
_DOTTED = re.compile(DOTTED)
_SEGMENT = re.compile(rf"({SEGMENT})\.?")
_BARE = re.compile(r"[\w-]+")


def split_name(text: str) -> tuple[str, ...]:
    """Take a dotted name apart; a segment that holds a dot is written in quotes.

    Raises:
        Refused: It is not a dotted name.
    """
    if not _DOTTED.fullmatch(text):
        raise wrong(
            f"cannot read the name {text!r}", 'write names with dots between them, like train.lr or train."a.b"'
        )
    return tuple(s[1:-1] if s[0] in "\"'" else s for s in _SEGMENT.findall(text))


def join_name(names: Sequence[str]) -> str:
    """Undo `split_name`, in the one spelling that keys are made of."""
    return ".".join(name if _BARE.fullmatch(name) else f'"{name}"' for name in names)


def lookup(scope: Mapping[str, Value], names: Sequence[str], *, root: str = "") -> Value:
    """Follow names through tables, and numbers through lists. `root` is what messages put before the names.

    Raises:
        Refused: A name is not there; the hint is the nearest that is.
    """
    value: Value = scope
    for count, name in enumerate(names):
        known = _children(value)
        if name not in known:
            raise wrong(
                f"unknown name '{root}{join_name(names[: count + 1])}'", _hint(root, names[:count], name, known)
            )
        value = known[name]
    return value


def _children(value: Value) -> Mapping[str, Value]:
    if isinstance(value, Mapping):
        return value
    if isinstance(value, Sequence) and not isinstance(value, str):
        return {str(index): element for index, element in enumerate(value)}
    return {}


def _hint(root: str, before: Sequence[str], name: str, known: Mapping[str, Value]) -> str | None:
    near = nearest(name, known)
    if near is not None:
        return near.replace("'", f"'{root}{join_name(before)}{'.' if before else ''}", 1)
    there = root + join_name(before) if before else root.rstrip(".")
    if not known:
        return f"'{there}' has nothing below it" if before else None
    names = list(known)
    listed = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    return f"{there or 'known here'}{' has' if there else ''}: {listed}"
