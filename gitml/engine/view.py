"""Where files are read from. The engine sees the project only through a `View`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from gitml.engine.witness import Witness
from gitml.hashing.pysource import PySource
from gitml.model.digest import Digest
from gitml.model.tree import Entry


class Seen(NamedTuple):
    """What stands at a declared path.

    `target`: what a symlink leads to, itself followed to its end. `links`: for a folder, what the links in it that
    lead out of it add: the paths that they name, or, where that is outside the project, their own paths.
    """

    entry: Entry
    target: Entry | None = None
    links: tuple[str, ...] = ()


class View(Protocol):
    """One state of the project's files. All paths are relative to the project."""

    def seen(self, path: str, witness: Witness) -> Seen | None:
        """Digest what stands at a path, as an input; None when nothing does. Files that Git holds have Git's form."""

    def expand(self, pattern: str, witness: Witness) -> Sequence[str]:
        """Name what a glob matches, sorted; a folder that matches stands for all below it."""

    def is_file(self, path: str) -> bool:
        """Tell whether Git tracks, or would add, a file of this path."""

    def is_dir(self, path: str) -> bool:
        """Tell whether a file that Git tracks, or would add, lies below the path."""

    def is_ignored(self, path: str) -> bool:
        """Tell whether something stands there that Git ignores."""

    def source(self, path: str) -> PySource:
        """Analyse a Python file that Git tracks or would add."""

    def glob(self, pattern: str) -> Sequence[str]:
        """Name the files that Git tracks, or would add, matching a pattern or lying below a folder, sorted."""

    def code_digest(self, path: str, witness: Witness) -> Digest:
        """Digest a code file by its bytes in Git's form, following a symlink."""

    def stat(self, path: str, witness: Witness) -> None:
        """Note how a path stands now, where the view knows of stats."""
