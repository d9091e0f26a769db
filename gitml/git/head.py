"""What HEAD is, read from the files where that is plain."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from gitml.git.command import Git, GitError

_OID = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
_BRANCH = "refs/heads/"


class Head(NamedTuple):
    """`oid` is None before the first commit, `branch` is None when HEAD is detached."""

    oid: str | None
    branch: str | None


def head(git: Git) -> Head:
    """Tell the commit and the branch that are checked out; no process in the ordinary case."""
    path = os.path.join(git.git_dir, "HEAD")
    text = "" if os.path.islink(path) else _read(path)
    if _OID.match(text):
        return Head(text, None)
    ref = text.removeprefix("ref: ").strip()
    # The reftable format leaves a branch named `.invalid` here, for readers such as this one.
    if not text.startswith("ref: ") or not ref.startswith(_BRANCH) or ref == _BRANCH + ".invalid":
        return _ask(git)
    oid = _read(os.path.join(git.common_dir, ref)) or _packed(git, ref)
    if oid and not _OID.match(oid):
        return _ask(git)
    return Head(oid or None, ref.removeprefix(_BRANCH))


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return os.fsdecode(file.read()).rstrip("\n")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ""


def _packed(git: Git, ref: str) -> str:
    for line in _read(os.path.join(git.common_dir, "packed-refs")).split("\n"):
        oid, _, name = line.partition(" ")
        if name == ref:
            return oid
    return ""


def _ask(git: Git) -> Head:
    oid = _answer(git, "rev-parse", "-q", "--verify", "HEAD^{commit}")
    ref = _answer(git, "symbolic-ref", "-q", "HEAD")
    return Head(oid, None if ref is None else ref.removeprefix(_BRANCH))


def _answer(git: Git, *question: str) -> str | None:
    try:
        return os.fsdecode(git.run(*question)).rstrip("\n")
    except GitError as error:
        if error.exit_status == 1:  # `-q`: there is none
            return None
        raise
