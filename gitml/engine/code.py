"""The code of a step as values: which files, found why, and what could not be followed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Union

from gitml.errors import UsageError
from gitml.hashing.pysource import PySource


class Files(Protocol):
    """What is asked of a state of the project's files. Paths are relative to the project."""

    def is_file(self, path: str) -> bool:
        """Tell whether Git tracks, or would add, a file of this path."""

    def is_dir(self, path: str) -> bool:
        """Tell whether such a file lies below the path."""

    def is_ignored(self, path: str) -> bool:
        """Tell whether a file or folder stands there that Git ignores."""

    def source(self, path: str) -> PySource:
        """Analyse a Python file that `is_file`."""

    def glob(self, pattern: str) -> Sequence[str]:
        """Name the files that match a pattern, are the path itself, or lie below it, sorted."""


@dataclass(frozen=True, slots=True)
class Started:
    """A command of the step runs it with Python."""

    def __str__(self) -> str:
        return "started by the command"


@dataclass(frozen=True, slots=True)
class Named:
    """A word of a command names it."""

    def __str__(self) -> str:
        return "named in the command"


@dataclass(frozen=True, slots=True)
class Declared:
    """The step's `code` names it, or a pattern or folder that holds it."""

    entry: str

    def __str__(self) -> str:
        return f"declared as code {self.entry}"


@dataclass(frozen=True, slots=True)
class Imported:
    """A statement imports it; `path` is None for Python text in a command itself."""

    path: str | None
    line: int
    name: str

    def __str__(self) -> str:
        return f"imported by {_place(self.path, self.line)} as {self.name}"


Via = Union[Started, Named, Declared, Imported]


class Found(NamedTuple):
    """One code file. `exact`: keyed by its bytes, else by its Python digest. `via`: the first reason that was found."""

    path: str
    exact: bool
    via: Via


class Unfollowed(NamedTuple):
    """Code that is loaded from a place only a run can know; `path` is None for the command itself."""

    path: str | None
    line: int
    text: str

    def __str__(self) -> str:
        return f"{_place(self.path, self.line)}: {self.text}"


class Discovery(NamedTuple):
    """All code of one step.

    `found`: by path, sorted. `dynamic`: what a lint warns about, sorted by place. `probed`: every path whose existence
    was asked about; while none of them appears or goes, and no found file changes, the discovery holds.
    """

    found: Mapping[str, Found]
    dynamic: tuple[Unfollowed, ...]
    probed: frozenset[str]


class CodeError(UsageError):
    """Code that a step needs is not held by Git; `path` names it, `via` says who wants it."""

    def __init__(self, message: str, *, path: str, via: Via, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.path = path
        self.via = via


def ignored_error(step_id: str, path: str, via: Via) -> CodeError:
    """Say that Git ignores a file that a step's code needs."""
    return CodeError(
        f"step {step_id}: {path} is ignored by Git, but it is {via}",
        path=path,
        via=via,
        hint=f"run `git add -f {path}`, stop ignoring it, or list it under the step's inputs if something makes it",
    )


def _place(path: str | None, line: int) -> str:
    return f"{path}:{line}" if path is not None else "the command"
