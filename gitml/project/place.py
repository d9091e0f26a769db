"""Where a project is and where its machine state lies: all that the fast path needs to know, with few imports."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from gitml.errors import UsageError
from gitml.git.repository import Repository, open_repository
from gitml.project.declaration import read_declaration


class Place(NamedTuple):
    """A folder with a `gitml.toml` (or `[tool.gitml]`) in a worktree.

    `root`: absolute path. `prefix`: the same relative to the worktree, "" for its top. `machine`: `$GIT_DIR/gitml`, or
    a folder below it for a project that is not at the top. `shared`: `$GIT_COMMON_DIR/gitml`.
    """

    repository: Repository
    root: str
    prefix: str
    machine: str
    shared: str

    @property
    def database(self) -> str:
        """Path of the state database."""
        return os.path.join(self.machine, "state.db")


def find_place(folder: str, environ: Mapping[str, str]) -> Place:
    """Find the project that a folder lies in: the nearest one upward, within the repository.

    Raises:
        UsageError: There is no repository, or no project in it.
    """
    repository = open_repository(folder, environ)
    return place_at(repository, _find_root(os.path.realpath(folder), repository.worktree))


def place_at(repository: Repository, root: str) -> Place:
    """Give the place of a project whose root (a real path in the worktree) is known."""
    prefix = os.path.relpath(root, repository.worktree)
    prefix = "" if prefix == "." else prefix
    machine = os.path.join(repository.git_dir, "gitml")
    if prefix:
        machine = os.path.join(machine, "projects", prefix.replace("%", "%25").replace("/", "%2F"))
    shared = os.path.join(repository.common_dir, "gitml")
    return Place(repository=repository, root=root, prefix=prefix, machine=machine, shared=shared)


def _find_root(folder: str, top: str) -> str:
    here = folder
    while True:
        if os.path.lexists(os.path.join(here, "gitml.toml")) or _declares(here):
            return here
        if here == top or os.path.dirname(here) == here:
            raise UsageError(f"no gitml.toml in {folder}, nor in a folder above it", hint="gitml init")
        here = os.path.dirname(here)


def _declares(folder: str) -> bool:
    data = read_declaration(folder, "pyproject.toml")
    return data is not None and b"tool.gitml" in data
