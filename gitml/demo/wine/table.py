"""Wines on disk: a CSV file with a header, thirteen measurements a line and the cultivar (1, 2 or 3) last."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple


class Wine(NamedTuple):
    """One wine; `measurements` in the order of the file's columns."""

    measurements: tuple[float, ...]
    cultivar: int


def load(path: str) -> list[Wine]:
    """Read all wines of a file, in order."""
    with Path(path).open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    return [Wine(tuple(float(text) for text in row[:-1]), int(row[-1])) for row in rows[1:]]


def copy_rows(source: str, chosen: list[int], target: str) -> None:
    """Write the header and the rows with these numbers, as they are, to another file."""
    header, *rows = Path(source).read_text(encoding="utf-8").splitlines()
    lines = [header, *(rows[number] for number in chosen)]
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    Path(target).write_text("\n".join(lines) + "\n", encoding="utf-8")
