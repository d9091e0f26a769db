"""A commit of exactly what is in the worktree, made without touching the user's index, HEAD or worktree."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from gitml.git.command import Git
from gitml.git.scratch import QUIET, scratch_index, update_index
from gitml.model.path import is_within

REFS = "refs/gitml/snapshots/"
_DATE = re.compile(rb"^committer .*> (\d+ [+-]\d{4})$", re.MULTILINE)
_NEVER = "0 +0000"


class _Change(NamedTuple):
    """A tracked path whose index entry differs from HEAD (`staged`), or whose file differs from the index."""

    path: str
    staged: bool
    in_worktree: bool


def snapshot(
    git: Git, *, include: Iterable[str] = (), exclude_prefixes: Iterable[str] = (), message: str = "gitml snapshot"
) -> str:
    """Give the id of a commit whose tree is what stands in the worktree.

    The tree holds the tracked files as they are (a conflicted one too) and the untracked files in `include`; what
    lies under `exclude_prefixes` stays as HEAD has it. All are relative to the worktree. If that equals HEAD, it is
    HEAD's id. Else a commit on top of HEAD is made and kept by a ref under `refs/gitml/snapshots/`; equal trees on
    the same HEAD with the same message give the same id. A file that the user told Git to assume unchanged, or that
    a sparse checkout leaves out, is what the index says.

    Raises:
        GitError: A file cannot be read, or a required clean filter fails.
    """
    excluded = tuple(exclude_prefixes)

    def is_excluded(path: str) -> bool:
        return any(is_within(path, prefix) for prefix in excluded)

    parent, changes = _changes(git)
    added = [path for path in include if not is_excluded(path)]
    kept = [change for change in changes if not is_excluded(change.path)]
    if parent is not None and not kept and not added:
        return parent
    with scratch_index(git, own_objects=False) as env:
        staged = [change.path for change in changes if change.staged and is_excluded(change.path)]
        _restore(git, parent, staged, excluded, env)
        taken = [change.path for change in kept if change.in_worktree] + added
        if taken:
            update_index(git, taken, env)
        tree = _word(git.run(*QUIET, "write-tree", env=env))
    return _commit(git, tree, parent, message)


def _changes(git: Git) -> tuple[str | None, list[_Change]]:
    """Ask for HEAD and all differences in one process, so that both are of the same moment."""
    out = git.run(
        "status",
        "--porcelain=v2",
        "--branch",
        "--no-ahead-behind",
        "-z",
        "--untracked-files=no",
        "--no-renames",
        "--ignore-submodules=dirty",
    )
    rows = os.fsdecode(out).split("\0")[:-1]
    oid = next(row.removeprefix("# branch.oid ") for row in rows if row.startswith("# branch.oid "))
    return None if oid == "(initial)" else oid, list(_read_changes(rows))


def _read_changes(rows: Iterable[str]) -> Iterator[_Change]:
    """Read `1 XY sub mH mI mW hH hI path` and, unmerged, `u XY sub m1 m2 m3 mW h1 h2 h3 path`."""
    for row in rows:
        if row.startswith("1 "):
            yield _Change(row.split(" ", 8)[8], row[2] != ".", row[3] != ".")
        elif row.startswith("u "):
            yield _Change(row.split(" ", 10)[10], True, True)


def _restore(git: Git, parent: str | None, paths: list[str], prefixes: tuple[str, ...], env: Mapping[str, str]) -> None:
    """Put HEAD's entries, or none where HEAD has none, in place of the index's (all lie under `prefixes`)."""
    if not paths:
        return
    found: dict[str, str] = {}
    if parent is not None:
        rows = os.fsdecode(git.run("ls-tree", "-r", "-z", "--full-tree", parent, "--", *prefixes)).split("\0")[:-1]
        found = {row.partition("\t")[2]: row for row in rows}
    removed = f"0 {'0' * len(parent or '0' * 40)}"
    lines = [line for path in paths for line in (f"{removed}\t{path}", found.get(path)) if line is not None]
    data = b"".join(os.fsencode(line) + b"\0" for line in lines)
    git.run(*QUIET, "update-index", "-z", "--index-info", input=data, env=env)


def _commit(git: Git, tree: str, parent: str | None, message: str) -> str:
    date = _NEVER
    if parent is not None:
        commit = git.run("cat-file", "commit", parent)
        if commit.startswith(f"tree {tree}\n".encode()):
            return parent
        written = _DATE.search(commit)
        date = written.group(1).decode() if written else _NEVER
    env = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _identity(date)}
    settings = ("-c", "commit.gpgSign=false", "-c", "i18n.commitEncoding=UTF-8")
    parents = () if parent is None else ("-p", parent)
    text = message.rstrip("\n").encode("utf-8", "replace") + b"\n"
    oid = _word(git.run(*settings, "commit-tree", tree, *parents, input=text, env=env))
    # No reflog: the ref never moves, and its name says all.
    git.run(*QUIET, "-c", "core.logAllRefUpdates=false", "update-ref", REFS + oid, oid, env=env)
    return oid


def _identity(date: str) -> tuple[tuple[str, str], ...]:
    # "@": Git would read a small number of seconds as a calendar date.
    return ("NAME", "gitml"), ("EMAIL", "gitml@localhost"), ("DATE", f"@{date}")


def _word(out: bytes) -> str:
    return out.decode("ascii").strip()
