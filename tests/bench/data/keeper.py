"""What the harness asks of a tool that keeps data."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import NamedTuple, Protocol

DATA = "data"
"""Where the data stands in every repository: a file or a folder."""


class Link(str, Enum):
    """How the worktree's file and the cache's share bytes."""

    COPY = "copy"
    HARDLINK = "hardlink"


class Holding(NamedTuple):
    """What a tool must hold once it was added: files and their bytes in all."""

    files: int
    size: int


class Keeper(Protocol):
    """A tool that keeps `DATA` of a Git repository. Commands are started in the repository's folder.

    The checks raise `NotDoneError`, so that a command which did nothing is not taken for a quick one.
    `environ`: variables laid over those of the harness.
    """

    name: str
    environ: Mapping[str, str]

    def version(self) -> str:
        """Give the version that is measured."""
        ...

    def begin(self, folder: Path, link: Link | None) -> None:
        """Set the tool up in a new repository, to link as told or (None) as it does by itself."""
        ...

    def add(self) -> list[str]:
        """Give the command that takes `DATA` into the tool's keeping."""
        ...

    def status(self) -> list[str]:
        """Give the command that tells whether `DATA` has changed."""
        ...

    def settle(self, folder: Path) -> None:
        """Commit what `add` left to be committed, as a user would."""
        ...

    def check_added(self, folder: Path, holding: Holding) -> None:
        """Look whether all of `DATA` was taken into keeping."""
        ...

    def check_status(self, folder: Path, *, changed: bool) -> None:
        """Ask the tool itself whether `DATA` has changed."""
        ...
