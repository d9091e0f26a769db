"""The data itself: random bytes, the same in every run."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

from blake3 import blake3

SMALL = (1 << 10, 8 << 10)
TINY = (80, 120)
PER_FOLDER = 1000
_PART = 4 << 20


def write_file(path: Path, size: int) -> None:
    """Write one file of random bytes (the output of BLAKE3 for a fixed input: quicker than any random generator)."""
    stream = blake3(b"gitml benchmark")
    with path.open("wb") as file:
        for start in range(0, size, _PART):
            file.write(stream.digest(length=min(_PART, size - start), seek=start))


def write_folder(path: Path, count: int, sizes: tuple[int, int]) -> int:
    """Write `count` files, `PER_FOLDER` to a folder, and give their bytes in all."""
    total = 0
    for index, data in enumerate(pieces(count, sizes)):
        if index % PER_FOLDER == 0:
            folder = path / f"{index // PER_FOLDER:04}"
            folder.mkdir(parents=True)
        descriptor = os.open(f"{folder}/{index % PER_FOLDER:04}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        total += os.write(descriptor, data)
        os.close(descriptor)
    return total


def pieces(count: int, sizes: tuple[int, int]) -> Iterator[bytes]:
    """Give `count` pieces of random bytes, no two alike, of lengths within `sizes`."""
    longest = sizes[1]
    pool = blake3(b"gitml benchmark").digest(length=1 << 20)
    dice = random.Random(0)
    for index in range(count):
        size = dice.randint(*sizes)
        start = dice.randrange(len(pool) - longest)
        yield index.to_bytes(8, "big") + pool[start : start + size - 8]


def edit(path: Path) -> None:
    """Give a file bytes that it never had."""
    path.write_bytes(os.urandom(SMALL[1]))


def count_files(path: Path) -> int:
    """Count the files at or below a path."""
    return sum(len(files) for _, _, files in os.walk(path)) if path.is_dir() else int(path.exists())
