"""Parameters: the table `[params]` and the files that `[project] params` names, merged into one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from gitml.manifest.problems import ManifestError, Problem, at, place
from gitml.manifest.table import describe
from gitml.manifest.text import decode, parse_toml, whole_file
from gitml.model.value import Value

if TYPE_CHECKING:
    from gitml.manifest.positions import Path

DEEPEST = 64
SUFFIXES = (".toml", ".json", ".yaml", ".yml")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse(file: str, data: bytes) -> dict[str, Value]:
    """Read a parameter file; the suffix says which language.

    Raises:
        ManifestError: It cannot be read, is not a table, names a key twice or is nested deeper than 64 levels.
    """
    text = decode(file, data)
    value = _LANGUAGES[file[file.rindex(".") :]](file, text)
    if not isinstance(value, dict):
        raise whole_file(file, text, f"a parameter file must hold a table of names, not {describe(value)}")
    if path := too_deep(value):
        raise whole_file(file, text, f"values are nested deeper than {DEEPEST} levels, in {str(path[0])!r}")
    return value


def merge(parts: list[tuple[str, Mapping[str, Value]]]) -> tuple[dict[str, Value], list[tuple[Path, str, str]]]:
    """Merge tables; give the merged table and, for each value that two places give, its path and those places."""
    merged: dict[str, Value] = {}
    owners: dict[Path, str] = {}
    clashes: list[tuple[Path, str, str]] = []

    def add(target: dict[str, Value], table: Mapping[str, Value], at: Path, origin: str) -> None:
        for name, value in table.items():
            path = (*at, name)
            if name not in target:
                target[name] = _own(value)
                owners[path] = origin
            elif isinstance(value, Mapping) and isinstance(target[name], dict):
                add(cast("dict[str, Value]", target[name]), value, path, origin)
            else:
                clashes.append((path, _owner(owners, path), origin))

    for origin, table in parts:
        add(merged, table, (), origin)
    return merged, clashes


def _own(value: Value) -> Value:
    """Copy tables, since a later file may add to them; lists are shared."""
    return {name: _own(inner) for name, inner in value.items()} if isinstance(value, Mapping) else value


def _owner(owners: Mapping[Path, str], path: Path) -> str:
    while path not in owners:
        path = path[:-1]
    return owners[path]


def too_deep(value: object) -> Path | None:
    """Give the path of a value that is nested deeper than 64 levels, if there is one."""
    waiting: list[tuple[object, Path]] = [(value, ())]
    while waiting:
        inner, path = waiting.pop()
        if isinstance(inner, dict):
            children = list(inner.items())
        elif isinstance(inner, list):
            children = list(enumerate(inner))
        else:
            continue
        if len(path) >= DEEPEST:
            return path
        waiting += [(v, (*path, k)) for k, v in children if isinstance(v, (dict, list))]
    return None


def _toml(file: str, text: str) -> object:
    return parse_toml(file, text)


class _DuplicateNameError(Exception):
    pass


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        raise _DuplicateNameError(next(name for name in names if names.count(name) > 1))
    return table


def _json(file: str, text: str) -> object:
    try:
        value = json.loads(text, object_pairs_hook=_pairs)
    except json.JSONDecodeError as error:
        raise ManifestError([at(file, place(text, error.pos), f"this is not JSON: {error.msg}")]) from error
    except _DuplicateNameError as error:
        name = str(error)
        raise ManifestError([_second(file, text, name)]) from error
    except RecursionError as error:
        raise whole_file(file, text, f"values are nested deeper than {DEEPEST} levels") from error
    except ValueError as error:
        raise whole_file(file, text, f"this cannot be read: {error}") from error
    if _SURROGATE.search(text):
        _refuse_surrogates(file, text, value)
    return value


def _second(file: str, text: str, name: str) -> Problem:
    """Point at the second place where a name is followed by a colon; the text is flat enough for that to help."""
    found = [match.start() for match in re.finditer(re.escape(json.dumps(name, ensure_ascii=False)) + r"\s*:", text)]
    where = place(text, found[1] if len(found) > 1 else 0)
    return at(file, where, f"the name {name!r} stands twice in one table")


def _refuse_surrogates(file: str, text: str, value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        match = _SURROGATE.search(text)
        where = place(text, match.start() if match else 0)
        raise ManifestError([at(file, where, "half of a surrogate pair is not text")]) from error


def _yaml(file: str, text: str) -> object:
    # Most projects have no YAML, and importing its reader costs more than all the rest of a no-op.
    from gitml.manifest.yaml import parse_yaml  # noqa: PLC0415

    return parse_yaml(file, text)


_LANGUAGES: Mapping[str, Callable[[str, str], Any]] = {".toml": _toml, ".json": _json, ".yaml": _yaml, ".yml": _yaml}
