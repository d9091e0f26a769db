"""The numbers of a metrics file."""

from __future__ import annotations

import json
import os

import tomli

from gitml.model.step import Role, Step
from gitml.model.value import Value, to_json

_LARGEST = 1 << 20


def metrics_of(root: str, step: Step) -> tuple[dict[str, object], tuple[str, ...]]:
    """Read the numbers of a step's metrics files, by path; and name those files that have none to read."""
    found: dict[str, object] = {}
    unread = []
    for output in step.outputs:
        if output.role is Role.METRICS:
            numbers = read_metrics(root, output.path)
            if numbers is None:
                unread.append(output.path)
            else:
                found[output.path] = numbers
    return found, tuple(unread)


def read_metrics(root: str, path: str) -> object | None:
    """Read the numbers of a JSON, TOML or YAML file, as nested JSON data; None when it is none of these.

    Everything but numbers (and tables and lists that hold some) is left out. At most 1 MiB is read.
    """
    full = os.path.join(root, path)
    try:
        if os.path.getsize(full) > _LARGEST:
            return None
        with open(full, "rb") as file:
            data = file.read()
        return _numbers(_parse(path, data.decode("utf-8")))
    except (OSError, ValueError, RecursionError):
        return None


def _parse(path: str, text: str) -> Value:
    if path.endswith(".toml"):
        return tomli.loads(text)
    if path.endswith((".yaml", ".yml")):
        from ruamel.yaml import YAML  # noqa: PLC0415 - only where a metrics file is YAML (30 ms)
        from ruamel.yaml.error import YAMLError  # noqa: PLC0415

        try:
            return YAML(typ="safe", pure=True).load(text)  # type: ignore[no-any-return]
        except YAMLError as error:
            raise ValueError(str(error)) from error
    return json.loads(text)  # type: ignore[no-any-return]


def _numbers(value: Value) -> object | None:
    if isinstance(value, dict):
        found = {str(name): _numbers(inner) for name, inner in value.items()}
        return {name: inner for name, inner in found.items() if inner is not None} or None
    if isinstance(value, list):
        items = [_numbers(inner) for inner in value]
        return items if items and all(item is not None for item in items) else None
    if isinstance(value, (int, float)):
        return to_json(value)
    return None
