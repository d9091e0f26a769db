"""What is measured on data, and where a figure belongs. Nothing here measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from tests.bench.data.sizes import Sizes, in_words
from tests.bench.result import Result, cell


class Subject(str, Enum):
    """What it is done to."""

    FILE = "file"
    FOLDER = "folder"
    MANY = "many"
    CACHE = "cache"

    def words(self, sizes: Sizes) -> str:
        """Say how much of what it is."""
        return {
            Subject.FILE: f"one file of {in_words(sizes.file)}",
            Subject.FOLDER: f"{sizes.files:,} files of 1-8 KiB",
            Subject.MANY: f"{sizes.many:,} files of 100 bytes",
            Subject.CACHE: f"{sizes.files:,} loose objects of 1-8 KiB",
        }[self]


class Task(Enum):
    """A row of the table: what is done, to what."""

    FILE_COPY = (Subject.FILE, "add, copying")
    FILE_LINK = (Subject.FILE, "add, hardlinking")
    FILE_TOUCHED = (Subject.FILE, "status after a touch")
    FOLDER_ADD = (Subject.FOLDER, "add")
    FOLDER_NOOP = (Subject.FOLDER, "status")
    FOLDER_EDITED = (Subject.FOLDER, "status after an edit")
    FOLDER_CHECKOUT = (Subject.FOLDER, "checkout")
    MANY_ADD = (Subject.MANY, "add")
    MANY_NOOP = (Subject.MANY, "status")
    CACHE_GC = (Subject.CACHE, "gc --dry-run")
    CACHE_VERIFY = (Subject.CACHE, "verify")

    @property
    def subject(self) -> Subject:
        """Tell what it is done to."""
        return self.value[0]

    @property
    def words(self) -> str:
        """Tell what is done."""
        return self.value[1]


class Place(NamedTuple):
    """Where a figure belongs; `name`: the tool, or, for what bounds any tool, the words of a command."""

    task: Task
    name: str


Figures = Mapping[Place, Result]

# Figures of commands that bound every tool; `START_UP` is gitml's own `status` of a project that has one small file.
CP, CP_SYNC, CP_R = "cp", "cp; sync", "cp -r"
CAT, XXHSUM, B3SUM = "cat", "xxhsum -H2", "b3sum"
FIND, FIND_SIZES, FIND_B3SUM = "find", "find -printf %s", "find, b3sum"
START_UP = "status of one file"


def table(figures: Figures, sizes: Sizes, tools: Sequence[str]) -> str:
    """Write all figures as one Markdown table: a column for each tool, gitml first, and one for what bounds them."""
    lines = [
        "| data | operation | " + " | ".join(tools) + " | bounds |",
        "|---|---|" + "---|" * (len(tools) + 1),
    ]
    for task in Task:
        found = {name: result for (of, name), result in figures.items() if of is task}
        if not found:
            continue
        ours = found.get("gitml")
        cells = [cell(found.get(tool), ours) for tool in tools]
        bounds = "; ".join(f"`{name}` {cell(one, ours)}" for name, one in found.items() if name not in tools)
        lines.append(f"| {task.subject.words(sizes)} | {task.words} | {' | '.join(cells)} | {bounds or '-'} |")
    return "\n".join(lines)
