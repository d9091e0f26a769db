"""Where files are read from. The engine sees the project only through a `View`."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import NamedTuple, Protocol

from gitml.hashing.file import StatSignature
from gitml.hashing.folderrow import FolderRow
from gitml.hashing.pysource import PySource
from gitml.model.digest import Digest
from gitml.model.tree import Entry


class Below(NamedTuple):
    """A folder with all below it, as it was looked at: its rows by path. `young`: too recent for a later verdict."""

    rows: Mapping[str, FolderRow]
    young: bool

    @property
    def newest_ns(self) -> int:
        """The latest mtime or ctime of all, in ns since the epoch."""
        return max(row.newest_ns for row in self.rows.values())


Stood = StatSignature | Below | None
Witness = MutableMapping[str, Stood]
"""By path, how a file or folder stood when it was looked at; None: nothing was there."""
Witnessed = Mapping[str, Stood]


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
