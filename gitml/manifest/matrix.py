"""A matrix: the combinations of values that make a step a family of instances, and the text that names each."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from gitml.manifest.problems import Fault
from gitml.manifest.table import Kind, Refused, describe, wrong
from gitml.model.value import Value

MOST_INSTANCES = 100_000
_DEEPEST = 8
_NAME = re.compile(r"[^\W\d][\w-]*")
_PLAIN = re.compile(r"[\w./+-]+")
_NUMBERLIKE = re.compile(r"[+-]?(?:0[xob][0-9a-f_]+|\.?\d[\d._:+-]*(?:[et][\d.:+-]*)?z?)", re.IGNORECASE)
_RESERVED = frozenset({"true", "false", "null", "none", "nan", "inf", "infinity"})


class Combination(NamedTuple):
    """The values of one instance and the text that names it, such as `fold=0,lr=0.1`."""

    values: Mapping[str, Value]
    text: str


def _read(value: object) -> tuple[Combination, ...]:
    if isinstance(value, dict):
        rows = _product(value)
    elif isinstance(value, list):
        rows = _explicit(value)
    else:
        raise wrong(f"a matrix is a table of lists or a list of tables, not {describe(value)}")
    return _named(rows)


def _product(table: Mapping[str, object]) -> list[dict[str, Value]]:
    """Combine every value with every other; the first name varies slowest."""
    if not table:
        raise wrong("the matrix is empty", "give at least one name a list of values")
    faults = _bad_names((), table)
    for name, values in table.items():
        if not isinstance(values, list):
            hint = f"write {name} = [...]"
            faults.append(_fault((name,), f"expected a list of values, found {describe(values)}", hint))
        elif not values:
            faults.append(_fault((name,), "the list is empty, so there would be no instance"))
    if faults:
        raise Refused(*faults)
    lists = [values for values in table.values() if isinstance(values, list)]
    _check_count(math.prod(len(values) for values in lists))
    return [dict(zip(table, row, strict=True)) for row in itertools.product(*lists)]


def _explicit(rows: Sequence[object]) -> list[dict[str, Value]]:
    """Take the tables as they are; all have the names of the first, in its order."""
    if not rows:
        raise wrong("the matrix is empty", "give at least one combination")
    _check_count(len(rows))
    first = rows[0]
    faults: list[Fault] = []
    good: list[dict[str, Value]] = []
    for index, row in enumerate(rows):
        if not isinstance(row, dict) or not isinstance(first, dict) or not row:
            faults.append(_fault((index,), f"a combination is a table of values, not {describe(row)}"))
            continue
        faults += _bad_names((index,), row)
        if row.keys() != first.keys():
            names = ", ".join(sorted(row.keys() ^ first.keys()))
            faults.append(
                _fault((index,), f"combinations must have the same names; this and the first differ in {names}")
            )
            continue
        good.append({name: row[name] for name in first})
    if faults:
        raise Refused(*faults)
    return good


def _named(rows: Iterable[dict[str, Value]]) -> tuple[Combination, ...]:
    seen: set[str] = set()
    combinations = []
    for row in rows:
        text = instance_text(row)
        if text in seen:
            raise wrong(f"the combination {text} stands there twice")
        seen.add(text)
        combinations.append(Combination(row, text))
    return tuple(combinations)


def _check_count(count: int) -> None:
    if count > MOST_INSTANCES:
        raise wrong(f"the matrix has {count} instances; at most {MOST_INSTANCES} are allowed")


def _bad_names(at: tuple[int, ...], names: Iterable[str]) -> list[Fault]:
    hint = "use letters, digits, '_' and '-'"
    return [_fault((*at, n), f"{n!r} cannot be a matrix name", hint) for n in names if not _NAME.fullmatch(n)]


def _fault(path: tuple[str | int, ...], message: str, hint: str | None = None) -> Fault:
    return Fault(path=path, message=message, hint=hint)


def instance_text(values: Mapping[str, Value]) -> str:
    """Name a combination so that no two meet: text that could be taken for another type is written in quotes.

    Raises:
        Refused: A value is nested too deeply to be named.
    """
    return ",".join(f"{name}={value_text(value)}" for name, value in values.items())


def value_text(value: Value, depth: int = 0) -> str:
    """Write one value: `0`, `0.1`, `true`, `adam`, `"1"`, `[64,64]`, `{name=a,input=x}`."""
    if isinstance(value, str):
        return value if _is_plain(value) else json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (Mapping, Sequence)):
        if depth >= _DEEPEST:
            raise wrong(f"a matrix value is nested deeper than {_DEEPEST} levels")
        return _nested_text(value, depth + 1)
    return "null" if value is None else value.isoformat()


def _nested_text(value: Mapping[str, Value] | Sequence[Value], depth: int) -> str:
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{value_text(k)}={value_text(v, depth)}" for k, v in value.items()) + "}"
    return "[" + ",".join(value_text(v, depth) for v in value) + "]"


def _is_plain(text: str) -> bool:
    return bool(_PLAIN.fullmatch(text)) and not _NUMBERLIKE.fullmatch(text) and text.casefold() not in _RESERVED


MATRIX_KIND = Kind(
    "matrix",
    {
        "anyOf": [
            {"type": "object", "minProperties": 1, "additionalProperties": {"type": "array", "minItems": 1}},
            {"type": "array", "minItems": 1, "items": {"type": "object", "minProperties": 1}},
        ]
    },
    _read,
)
