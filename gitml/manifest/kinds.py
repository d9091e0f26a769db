"""The kinds of plain values that a manifest holds."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TypeVar

from gitml.manifest.problems import Fault
from gitml.manifest.table import Kind, Refused, below, describe, wrong

T = TypeVar("T")

_UNITS = {"": 1, "B": 1}
_UNITS.update({f"{letter}B": 1000**power for power, letter in enumerate("KMGTP", 1)})
_UNITS.update({f"{letter}iB": 1024**power for power, letter in enumerate("KMGTP", 1)})
_MEMORY = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)\s*([KMGTP]i?B|B|)", re.ASCII)
_DURATION = re.compile(r"(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9}(?:\.\d{1,9})?)s)?", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_VERSION = re.compile(r"\d{1,9}(?:\.\d{1,9}){0,9}", re.ASCII)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise wrong(f"expected a string, found {describe(value)}")
    if "\0" in value:
        raise wrong("text may not contain NUL")
    return value


def _filled(value: object) -> str:
    text = _text(value)
    if not text.strip():
        raise wrong("expected text, found an empty string")
    return text


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise wrong(f"expected true or false, found {describe(value)}")
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong(f"expected an integer, found {describe(value)}")
    if not 0 <= value < 2**31:
        raise wrong("expected an integer from 0 to 2147483647")
    return value


def _amount(value: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise wrong(f"expected a number, found {describe(value)}")
    if not 0 <= value < 2**31 or math.isnan(value):
        raise wrong("expected a number that is not negative")
    return value


def _duration(value: object) -> float:
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        if not match or not match[0]:
            raise wrong(f"cannot read the duration {value!r}", 'write it like "90s", "10m" or "1h30m"')
        seconds = int(match[1] or 0) * 3600 + int(match[2] or 0) * 60 + float(match[3] or 0)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = min(value, math.inf) if isinstance(value, float) else float(min(value, 10**12))
    else:
        raise wrong(f"expected a duration, found {describe(value)}", 'write it like "90s", "10m" or "1h30m"')
    if not 0 < seconds <= 10**12:
        raise wrong("a duration must be more than nothing and finite")
    return seconds


def _memory(value: object) -> int:
    hint = 'write it like "2GiB", "512MB" or a number of bytes'
    if isinstance(value, str):
        match = _MEMORY.fullmatch(value.strip())
        if not match:
            raise wrong(f"cannot read the size {value!r}", hint)
        size = int(float(match[1]) * _UNITS[match[2]]) if "." in match[1] else int(match[1]) * _UNITS[match[2]]
    elif isinstance(value, int) and not isinstance(value, bool):
        size = value
    else:
        raise wrong(f"expected a size, found {describe(value)}", hint)
    if not 0 <= size < 2**63:
        raise wrong("a size must be from 0 to 2^63 bytes", hint)
    return size


def _variable(value: object) -> str:
    text = _text(value)
    if not _VARIABLE.fullmatch(text):
        hint = "list the names of variables; values are taken from the environment" if "=" in text else None
        raise wrong(f"{text!r} is not the name of an environment variable", hint)
    return text


def _version(value: object) -> str:
    text = _text(value)
    if not _VERSION.fullmatch(text):
        raise wrong(f"cannot read the version {text!r}", 'write it like "0.1"')
    return text


def hex_digest(algorithm: str, digits: int) -> Kind[str]:
    """Make the kind of digests as publishers print them, also with `algorithm:` before; they become lower case."""
    form = re.compile(rf"(?:{algorithm}:)?([0-9A-Fa-f]{{{digits}}})", re.ASCII)

    def read(value: object) -> str:
        match = form.fullmatch(_text(value).strip())
        if not match:
            raise wrong(f"this is not a {algorithm} digest", f"it has {digits} hexadecimal digits")
        return match[1].lower()

    schema = {"type": "string", "pattern": rf"^\s*({algorithm}:)?[0-9A-Fa-f]{{{digits}}}\s*$"}
    return Kind("hexadecimal digits", schema, read)


def listing(of: Kind[T], name: str) -> Kind[tuple[T, ...]]:
    """Make the kind of lists of a kind; every element is looked at, however many are wrong."""

    def read(value: object) -> tuple[T, ...]:
        if not isinstance(value, list):
            hint = "write it in brackets" if isinstance(value, (str, dict)) else None
            raise wrong(f"expected a list, found {describe(value)}", hint)
        good: list[T] = []
        faults: list[Fault] = []
        for index, element in enumerate(value):
            try:
                good.append(of.read(element))
            except Refused as refused:  # noqa: PERF203 - every element is looked at
                faults += (below((index,), fault) for fault in refused.faults)
        if faults:
            raise Refused(*faults)
        return tuple(good)

    return Kind(name, {"type": "array", "items": of.schema}, read)


def optional(kind: Kind[T]) -> Kind[T | None]:
    """Let a key's default be None; None itself cannot be written in TOML."""
    read: Callable[[object], T | None] = kind.read
    return Kind(kind.name, kind.schema, read)


TEXT = Kind("string", {"type": "string"}, _text)
FILLED = Kind("string", {"type": "string", "pattern": r"\S"}, _filled)
FLAG = Kind("boolean", {"type": "boolean"}, _flag)
COUNT = Kind("integer", {"type": "integer", "minimum": 0}, _count)
AMOUNT = Kind("number", {"type": "number", "minimum": 0}, _amount)
DURATION = Kind(
    "duration",
    {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": r"^\s*\d[\d.hms]*\s*$"}]},
    _duration,
)
MEMORY = Kind(
    "size",
    {
        "anyOf": [
            {"type": "integer", "minimum": 0},
            {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*([KMGTP]i?B|B)?\s*$"},
        ]
    },
    _memory,
)
VARIABLE = Kind("variable", {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}, _variable)
VERSION = Kind("version", {"type": "string", "pattern": r"^\d+(\.\d+)*$"}, _version)
TEXTS: Kind[tuple[str, ...]] = listing(FILLED, "list of strings")
PATHS: Kind[tuple[str, ...]] = listing(FILLED, "list of paths")
VARIABLES: Kind[tuple[str, ...]] = listing(VARIABLE, "list of variables")
