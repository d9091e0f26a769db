"""Parameter values, and the one canonical encoding of them that keys are made of."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping, Sequence
from typing import Union

Value = Union[
    None,
    bool,
    int,
    float,
    str,
    datetime.datetime,
    datetime.date,
    datetime.time,
    "Sequence[Value]",
    "Mapping[str, Value]",
]
"""What TOML, YAML 1.2 and JSON can say, and nothing else. Lists are ordered, tables are not."""

_TAGS = (
    (datetime.datetime, "$datetime"),  # before `date`: a datetime is a date
    (datetime.date, "$date"),
    (datetime.time, "$time"),
)


def to_json(value: Value) -> object:
    """Map a value to what JSON can carry, so that no two values meet.

    `1`, `1.0`, `"1"` and `true` stay apart by JSON's own types. Infinities, NaN, dates and times become one-entry
    tables whose name begins with `$`; a table of the user's own that begins so has the `$` doubled.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": repr(value)}
    for kind, tag in _TAGS:
        if isinstance(value, kind):
            return {tag: value.isoformat()}
    if isinstance(value, Mapping):
        return {"$" + k if k.startswith("$") else k: to_json(v) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [to_json(v) for v in value]
    raise TypeError(f"not a parameter value: {type(value).__name__}")


def from_json(data: object) -> Value:
    """Undo `to_json`.

    Raises:
        ValueError: The data has a `$` table that `to_json` never writes.
    """
    if isinstance(data, list):
        return [from_json(v) for v in data]
    if not isinstance(data, dict):
        if data is None or isinstance(data, (bool, int, float, str)):
            return data
        raise ValueError(f"not a JSON value: {type(data).__name__}")
    if len(data) == 1:
        ((name, inner),) = data.items()
        if name.startswith("$") and not name.startswith("$$"):
            return _untag(name, inner)
    return {_unescape(k): from_json(v) for k, v in data.items()}


def canonical(value: Value) -> bytes:
    """Encode a value as bytes that are equal exactly when the values are (same type, same content)."""
    return canonical_json(to_json(value))


def canonical_json(data: object) -> bytes:
    """Encode JSON data with sorted names, no white space and UTF-8. The order of names is that of code points."""
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "surrogatepass")


def _untag(name: str, inner: object) -> Value:
    if isinstance(inner, str):
        if name == "$float":
            return float(inner)
        for kind, tag in _TAGS:
            if name == tag:
                return kind.fromisoformat(inner)
    raise ValueError(f"unknown tag {name}: {inner!r}")


def _unescape(name: str) -> str:
    if name.startswith("$$"):
        return name[1:]
    if name.startswith("$"):
        raise ValueError(f"unknown tag {name}")
    return name
