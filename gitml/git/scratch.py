"""A private index, and if wanted a private object database, that vanish after use.

What Git would store is only known to Git: it knows attributes, filters, the executable bit where `core.fileMode` is
off, and which files the index already vouches for. So gitml lets Git update an index, but a copy of the user's.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from gitml.git.command import Git

QUIET = (
    # Here a conversion that loses something is a fact to learn, not a reason to stop.
    *("-c", "core.safecrlf=false"),
    # The copy must be whole, compared by stat, and of no concern to a daemon or a hook of the user's.
    *("-c", "core.splitIndex=false"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.untrackedCache=false"),
    *("-c", "core.hooksPath=/dev/null"),
)


@contextmanager
def scratch_index(git: Git, *, own_objects: bool) -> Iterator[Mapping[str, str]]:
    """Copy the index and give the variables that make Git use the copy.

    With `own_objects` new objects are written beside it and vanish as well; else they go to the repository.
    """
    folder = os.path.join(git.git_dir, "gitml", "tmp", "index-" + os.urandom(8).hex())
    os.makedirs(folder)
    try:
        copy = os.path.join(folder, "index")
        _copy_index(git.index_file, copy)
        env = {"GIT_INDEX_FILE": copy}
        if own_objects:
            env["GIT_OBJECT_DIRECTORY"] = os.path.join(folder, "objects")
            env["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = _quoted(os.path.join(git.common_dir, "objects"))
            os.mkdir(env["GIT_OBJECT_DIRECTORY"])
        yield env
    finally:
        _remove(folder)


def update_index(git: Git, names: Iterable[str], env: Mapping[str, str]) -> None:
    """Take files of the worktree into a scratch index, as `git add` would (gone: removed; names may be ignored)."""
    data = b"".join(os.fsencode(name) + b"\0" for name in names)
    git.run(*QUIET, "update-index", "--add", "--remove", "--replace", "-z", "--stdin", input=data, env=env)


def _copy_index(source: str, target: str) -> None:
    """Copy the index with its modification time.

    The time is part of the index: Git looks into files that are not older than it (Documentation/technical/racy-git).
    A copy with a later time would vouch for files that were changed right after the original was written.
    """
    try:
        with open(source, "rb") as file:
            times = os.fstat(file.fileno())
            with open(target, "wb") as out:
                while chunk := file.read(1 << 20):
                    out.write(chunk)
    except FileNotFoundError:
        return  # nothing was ever added
    os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))


def _remove(folder: str) -> None:
    """Delete a folder of our own making; `shutil` and `tempfile` would cost every `gitml status` 4 ms of imports."""
    for parent, folders, files in os.walk(folder, topdown=False):
        for name in files:
            os.unlink(os.path.join(parent, name))
        for name in folders:
            os.rmdir(os.path.join(parent, name))
    os.rmdir(folder)


def _quoted(path: str) -> str:
    """Write a path for GIT_ALTERNATE_OBJECT_DIRECTORIES, where `:` separates and quotes are C's."""
    if not any(c in path for c in ':"\n'):
        return path
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
