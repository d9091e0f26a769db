"""The numbers of metrics files as one flat table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gitml.model.value import from_json


def flatten(metrics: Mapping[str, object]) -> dict[str, float]:
    """Give the numbers of a run's metrics by `file:dotted.name`; elements of lists are numbered from 0."""
    return {f"{path}:{name}": number for path, data in metrics.items() for name, number in _numbers("", data)}


def _numbers(prefix: str, data: object) -> Iterator[tuple[str, float]]:
    if isinstance(data, dict):
        if set(data) == {"$float"}:  # infinity or NaN, which JSON has no number for
            yield prefix, float(str(from_json(data)))
            return
        for name, inner in data.items():
            yield from _numbers(f"{prefix}.{name}" if prefix else str(name), inner)
    elif isinstance(data, list):
        for index, inner in enumerate(data):
            yield from _numbers(f"{prefix}.{index}" if prefix else str(index), inner)
    elif isinstance(data, (int, float)):
        yield prefix, data
