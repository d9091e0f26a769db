"""Locks and runs as JSON data, and back with every field checked: both may come from anyone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeVar

from gitml.model.digest import Digest
from gitml.model.lock import LockEntry
from gitml.model.path import PathError, check_path
from gitml.model.recipe import FORMAT, Recipe
from gitml.model.run import SCHEMA, Run
from gitml.model.tree import Entry, Kind

_T = TypeVar("_T")
_LARGEST = 1 << 63
"""More than any size in bytes, time in seconds or count. NaN and infinities are not within it."""


class RecordError(ValueError):
    """JSON data is no lock or no run; the text names the field."""


class NewerFormatError(RecordError):
    """A record was written by a later gitml; `format` is the number it names."""

    def __init__(self, found: object) -> None:
        super().__init__(f"format {found} is newer than this gitml knows ({FORMAT})")
        self.format = found


def lock_to_json(lock: LockEntry) -> dict[str, object]:
    """Give a lock's data; empty maps are left out."""
    data: dict[str, object] = {
        "format": lock.recipe.format,
        "key": str(lock.key),
        "recipe": dict(lock.recipe.parts),
        "outputs": _entries_to_json(lock.outputs),
    }
    if lock.subpaths:
        data["subpaths"] = _entries_to_json(lock.subpaths)
    if lock.globs:
        data["globs"] = {pattern: list(paths) for pattern, paths in lock.globs.items()}
    if lock.metrics:
        data["metrics"] = dict(lock.metrics)
    if lock.accepted is not None:
        data["accepted"] = lock.accepted
    return data


def lock_from_json(data: object) -> LockEntry:
    """Check a lock's data.

    Raises:
        NewerFormatError: Its format is a later one.
        RecordError: It is not what `lock_to_json` writes.
    """
    table = _table("lock", data)
    return LockEntry(
        key=_digest("key", table.get("key")),
        recipe=_recipe(table),
        outputs=_entries_from_json("outputs", table.get("outputs")),
        subpaths=_entries_from_json("subpaths", table.get("subpaths", {})),
        globs={name: _texts("globs", paths) for name, paths in _table("globs", table.get("globs", {})).items()},
        metrics=_finite("metrics", table.get("metrics", {})),
        accepted=_optional(_text, "accepted", table.get("accepted")),
    )


def run_to_json(run: Run) -> dict[str, object]:
    """Give a run's card."""
    return {
        "schema": SCHEMA,
        "id": run.id,
        "step": run.step,
        "key": str(run.key),
        "format": run.recipe.format,
        "recipe": dict(run.recipe.parts),
        "outputs": _entries_to_json(run.outputs),
        "metrics": dict(run.metrics),
        "params": dict(run.params),
        "snapshot": run.snapshot,
        "branch": run.branch,
        "commands": list(run.commands),
        "started": run.started,
        "duration": run.duration,
        "cpu_seconds": run.cpu_seconds,
        "peak_memory": run.peak_memory,
        "exit_code": run.exit_code,
        "attempts": run.attempts,
        "executor": run.executor,
        "host": run.host,
        "user": run.user,
        "python": run.python,
        "packages": dict(run.packages),
        "gpus": list(run.gpus),
        "log": run.log,
        "labels": list(run.labels),
        "tainted": list(run.tainted),
        "accepted": run.accepted,
    }


def run_from_json(data: object) -> Run:
    """Check a run's card.

    Raises:
        RecordError: It is not what `run_to_json` writes.
    """
    table = _table("run", data)
    if table.get("schema") != SCHEMA:
        raise RecordError(f"schema {table.get('schema')!r} is not {SCHEMA}")
    return Run(
        id=_text("id", table.get("id")),
        step=_text("step", table.get("step")),
        key=_digest("key", table.get("key")),
        recipe=_recipe(table),
        outputs=_entries_from_json("outputs", table.get("outputs")),
        metrics=_finite("metrics", table.get("metrics", {})),
        params=_finite("params", table.get("params", {})),
        snapshot=_optional(_text, "snapshot", table.get("snapshot")),
        branch=_optional(_text, "branch", table.get("branch")),
        commands=_texts("commands", table.get("commands", [])),
        started=_number("started", table.get("started", 0.0)),
        duration=_number("duration", table.get("duration", 0.0)),
        cpu_seconds=_number("cpu_seconds", table.get("cpu_seconds", 0.0)),
        peak_memory=int(_number("peak_memory", table.get("peak_memory", 0))),
        exit_code=int(_number("exit_code", table.get("exit_code", 0))),
        attempts=int(_number("attempts", table.get("attempts", 1))),
        executor=_text("executor", table.get("executor", "local")),
        host=_text("host", table.get("host", "")),
        user=_text("user", table.get("user", "")),
        python=_text("python", table.get("python", "")),
        packages={k: _text("packages", v) for k, v in _table("packages", table.get("packages", {})).items()},
        gpus=_texts("gpus", table.get("gpus", [])),
        log=_optional(_digest, "log", table.get("log")),
        labels=_texts("labels", table.get("labels", [])),
        tainted=_texts("tainted", table.get("tainted", [])),
        accepted=_optional(_text, "accepted", table.get("accepted")),
    )


def entry_to_json(entry: Entry) -> dict[str, object]:
    """Give an entry's data: `mode`, `digest`, `size` in bytes, and `files` for a folder."""
    data: dict[str, object] = {"mode": entry.kind.value, "digest": str(entry.digest), "size": entry.size}
    if entry.kind is Kind.DIRECTORY:
        data["files"] = entry.files
    return data


def entry_from_json(name: str, data: object) -> Entry:
    """Check an entry's data; `name` is what errors call it.

    Raises:
        RecordError: A field is missing or of the wrong form.
    """
    table = _table(name, data)
    try:
        kind = Kind(table.get("mode"))
    except ValueError:
        raise RecordError(f"{name}: unknown mode {table.get('mode')!r}") from None
    return Entry(
        kind, _digest(name, table.get("digest")), _count(name, table.get("size")), _count(name, table.get("files", 1))
    )


def _entries_to_json(entries: Mapping[str, Entry]) -> dict[str, object]:
    return {path: entry_to_json(entry) for path, entry in entries.items()}


def _entries_from_json(name: str, data: object) -> dict[str, Entry]:
    entries = {}
    for path, entry in _table(name, data).items():
        try:
            if check_path(path) != path:
                raise RecordError(f"{name}: {path!r} is not in its one spelling")
        except PathError as error:
            raise RecordError(f"{name}: {path!r}: {error}") from error
        entries[path] = entry_from_json(f"{name}.{path}", entry)
    return entries


def _recipe(table: Mapping[str, object]) -> Recipe:
    found = table.get("format")
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise RecordError(f"format {found!r} is not a version")
    if found > FORMAT:
        raise NewerFormatError(found)
    return Recipe(parts=_finite("recipe", table.get("recipe")), format=found)


def _table(name: str, data: object) -> dict[str, object]:
    if not isinstance(data, dict):
        raise RecordError(f"{name} is not a table")
    return data


def _finite(name: str, data: object) -> dict[str, object]:
    """Take a table that can be written again as JSON: Python reads `1e999` and `NaN`, but they are no JSON."""
    table = _table(name, data)
    waiting: list[object] = [table]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, dict):
            waiting.extend(inner.values())
        elif isinstance(inner, list):
            waiting.extend(inner)
        elif isinstance(inner, float) and not math.isfinite(inner):
            raise RecordError(f"{name} holds {inner}, which JSON cannot carry")
    return table


def _text(name: str, data: object) -> str:
    if not isinstance(data, str):
        raise RecordError(f"{name} is not text")
    return data


def _texts(name: str, data: object) -> tuple[str, ...]:
    if not isinstance(data, list):
        raise RecordError(f"{name} is not a list")
    return tuple(_text(name, item) for item in data)


def _number(name: str, data: object) -> float:
    if not isinstance(data, (int, float)) or isinstance(data, bool) or not abs(data) <= _LARGEST:
        raise RecordError(f"{name} is not a number")
    return data


def _count(name: str, data: object) -> int:
    if not isinstance(data, int) or isinstance(data, bool) or not 0 <= data <= _LARGEST:
        raise RecordError(f"{name}: {data!r} is not a count")
    return data


def _digest(name: str, data: object) -> Digest:
    try:
        return Digest.parse(data)
    except ValueError as error:
        raise RecordError(f"{name}: {error}") from error


def _optional(check: Callable[[str, object], _T], name: str, data: object) -> _T | None:
    return None if data is None else check(name, data)
