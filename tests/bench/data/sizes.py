"""How much data is measured."""

from __future__ import annotations

import argparse
import re
from typing import NamedTuple

_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


class Sizes(NamedTuple):
    """`file`: bytes of the large file. `files`: files of the folder, and objects of the cache. `many`: tiny files."""

    file: int = 4 << 30
    files: int = 100_000
    many: int = 1_000_000


def bytes_of(text: str) -> int:
    """Read `4GiB`, `64MiB` or `100KiB`.

    Raises:
        argparse.ArgumentTypeError: It is none of these.
    """
    match = re.fullmatch(r"([1-9][0-9]*) ?([KMG]iB)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 4GiB or 64MiB")
    return int(match[1]) * _UNITS[match[2]]


def in_words(count: int) -> str:
    """Write a number of bytes in the largest unit that divides it."""
    for unit, size in reversed(_UNITS.items()):
        if count % size == 0:
            return f"{count // size} {unit}"
    return f"{count} bytes"
