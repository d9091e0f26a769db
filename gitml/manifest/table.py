"""Typed reading of tables: what kind of value a key takes, and one reader that collects every mistake.

A `Kind` turns raw data into a typed value or raises `Refused` with all that is wrong in it; a `Key` names a kind, its
default and its documentation; a `Table` is a closed set of keys. From these, and from nothing else, come reading,
messages, the reference page and the JSON Schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from gitml.manifest.problems import Fault, nearest

if TYPE_CHECKING:
    from gitml.manifest.positions import Path

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Refused(Exception):
    """A value is not of its kind; the paths of the faults begin at the value."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(*(fault.message for fault in faults))
        self.faults = faults


def wrong(message: str, hint: str | None = None) -> Refused:
    """Refuse a value as a whole."""
    return Refused(Fault(path=(), message=message, hint=hint, value=True))


def below(path: Path, fault: Fault) -> Fault:
    """Put a fault under the path of what holds it."""
    return replace(fault, path=(*path, *fault.path))


@dataclass(frozen=True, slots=True)
class Kind(Generic[T_co]):
    """A kind of value: its name in the reference, its JSON Schema, and how raw data becomes one.

    `read` raises `Refused`.
    """

    name: str
    schema: Mapping[str, object]
    read: Callable[[object], T_co]


@dataclass(frozen=True, kw_only=True, slots=True)
class Key(Generic[T_co]):
    """One key of a table. `example` is TOML for the value."""

    name: str
    kind: Kind[T_co]
    default: T_co
    doc: str
    example: str
    required: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A closed set of keys; `heading` is how the reference names the table."""

    heading: str
    doc: str
    keys: tuple[Key[Any], ...]
    names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", frozenset(key.name for key in self.keys))

    def schema(self) -> dict[str, object]:
        """Describe the table as JSON Schema."""
        properties = {key.name: {**key.kind.schema, "description": key.doc} for key in self.keys}
        required = [key.name for key in self.keys if key.required]
        shape: dict[str, object] = {"type": "object", "properties": properties, "additionalProperties": False}
        return {**shape, "required": required} if required else shape


class Reader:
    """Reads one raw table; `faults` fills as keys are asked for, with paths that begin at `at`."""

    def __init__(self, raw: object, table: Table, at: Path = ()) -> None:
        self.at = at
        self.faults: list[Fault] = []
        self.raw: Mapping[str, object] = {}
        if not isinstance(raw, dict):
            self.refuse((), f"{table.heading} must be a table, not {describe(raw)}", value=True)
            return
        self.raw = raw
        for name in raw.keys() - table.names:
            self.refuse((name,), f"unknown key '{name}'", nearest(name, table.names))
        for key in table.keys:
            if key.required and key.name not in raw:
                self.refuse((), f"'{key.name}' is missing", f"add {key.name} = {key.example}")

    def get(self, key: Key[T]) -> T:
        """Read one key: its value, or its default where it is absent or wrong."""
        if key.name not in self.raw:
            return key.default
        try:
            return key.kind.read(self.raw[key.name])
        except Refused as refused:
            self.faults += (below((*self.at, key.name), fault) for fault in refused.faults)
            return key.default

    def has(self, key: Key[Any]) -> bool:
        """Tell whether the key is written, rightly or not."""
        return key.name in self.raw

    def refuse(self, path: Path, message: str, hint: str | None = None, *, value: bool = False) -> None:
        """Note a mistake at a path below the table."""
        self.faults.append(Fault(path=(*self.at, *path), message=message, hint=hint, value=value))


def describe(value: object) -> str:
    """Name the type of raw data in the words of TOML."""
    if isinstance(value, bool):
        return "true or false"
    names = {str: "a string", int: "an integer", float: "a float", dict: "a table", list: "a list", type(None): "null"}
    return names.get(type(value), "a date or time")
