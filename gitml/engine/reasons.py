"""Why a key differs from another: the parts of two recipes, compared."""

from __future__ import annotations

from collections.abc import Mapping

from gitml.model.decision import PartAdded, PartChanged, PartRemoved, Reason

_ORDER = {"command": 0, "code": 1, "param": 2, "env": 3, "package": 4, "input": 5, "output": 6}


def compare_parts(before: Mapping[str, object], after: Mapping[str, object]) -> tuple[Reason, ...]:
    """Name every part that differs: what the user edits first (command, code, parameters), then data; then by name."""
    found: list[Reason] = []
    for part in sorted(before.keys() | after.keys(), key=_rank):
        if part not in after:
            found.append(PartRemoved(part))
        elif part not in before:
            found.append(PartAdded(part))
        elif not _same(before[part], after[part]):
            found.append(PartChanged(part, before[part], after[part]))
    return tuple(found)


def _same(one: object, other: object) -> bool:
    """Compare JSON data by value and type: `1`, `1.0` and `true` are three values."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and one == other


def _rank(part: str) -> tuple[int, str]:
    return _ORDER.get(part.partition(":")[0], len(_ORDER)), part
