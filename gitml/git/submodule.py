"""Submodules: other repositories, of which Git holds no file but the commit that is checked out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping

from gitml.git.head import head
from gitml.git.index import HeldFiles
from gitml.git.repository import open_exactly


def clean_commit(folder: str, environ: Mapping[str, str], *, is_junk: Callable[[str], bool]) -> str | None:
    """Give the commit of the submodule at `folder` (absolute), if what lies there is that commit.

    None: it is not checked out, has no commit, or has changes or untracked files (but for `is_junk` names), also in
    submodules of its own. Files that it ignores do not count, as for `git status`. Costs one process.
    """
    repository = open_exactly(folder, environ)
    if repository is None:
        return None
    out = repository.git(environ).run(
        *("status", "--porcelain=v2", "--branch", "--no-ahead-behind", "--no-renames", "-z"),
        *("--untracked-files=all", "--ignore-submodules=none"),
    )
    oid = None
    for row in os.fsdecode(out).split("\0")[:-1]:
        if row.startswith("# branch.oid "):
            oid = row.removeprefix("# branch.oid ")
        elif not row.startswith("#") and not (row.startswith("? ") and any(map(is_junk, row[2:].split("/")))):
            return None
    return None if oid == "(initial)" else oid


def files_of(folder: str, environ: Mapping[str, str]) -> frozenset[str]:
    """Name the files that the submodule at `folder`, or one inside it, tracks or would add; relative to `folder`."""
    repository = open_exactly(folder, environ)
    if repository is None:
        return frozenset()
    held = HeldFiles(repository.git(environ))
    names = {name for name in held.tracked if name not in held.submodules}
    names.update(held.would_add())
    for inner in held.submodules:
        names.update(f"{inner}/{name}" for name in files_of(os.path.join(folder, inner), environ))
    return frozenset(names)


def worktree_paths(folder: str, *, is_junk: Callable[[str], bool]) -> Iterator[str]:
    """Name all (absolute) that lies in the submodule at `folder`, itself and each `.git` among it, but no junk."""
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        yield here
        with os.scandir(here) as members:
            found = list(members)
        for member in found:
            if member.name == ".git" or not member.is_dir(follow_symlinks=False):
                yield member.path
            elif not is_junk(member.name):
                waiting.append(member.path)


def own_paths(folder: str, environ: Mapping[str, str]) -> Iterator[str]:
    """Name the files in which the submodule at `folder` keeps what is checked out and what it ignores."""
    repository = open_exactly(folder, environ)
    if repository is None:
        return
    yield repository.index_file
    yield os.path.join(repository.git_dir, "HEAD")
    branch = head(repository.git(environ)).branch
    if branch is not None:
        yield os.path.join(repository.common_dir, "refs", "heads", branch)
    for name in ("packed-refs", "reftable/tables.list", "config", "info/exclude", "info/attributes"):
        yield os.path.join(repository.common_dir, name)
