"""What was looked at, and how it stood: what a verdict rests on."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import NamedTuple

from gitml.hashing.file import StatSignature
from gitml.hashing.folderrow import FolderRow


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


def note(witness: Witness, path: str, stood: Stood) -> None:
    """Say how a path stood; what is said already of a folder with all below it says more than its own stat, and stays.

    A glob over a folder that is an input looks at the folder again: its stat alone would not tell of an edit in it.
    """
    if isinstance(stood, Below) or not isinstance(witness.get(path), Below):
        witness[path] = stood


def note_all(witness: Witness, seen: Witnessed) -> None:
    """Say all that another look said."""
    for path, stood in seen.items():
        note(witness, path, stood)
