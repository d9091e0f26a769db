"""Read the files that declare a project from the worktree: never more than a declaration may hold."""

from __future__ import annotations

import os
import stat

from gitml.errors import UsageError

MAX_BYTES = 8 << 20


def read_declaration(root: str, path: str) -> bytes | None:
    """Read a file of the project; None when there is none.

    Raises:
        UsageError: It is larger than 8 MiB, or no regular file; it was not read.
    """
    full = os.path.join(root, path)
    try:
        descriptor = os.open(full, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        _check(path, os.fstat(descriptor))
    except UsageError:
        os.close(descriptor)
        raise
    with open(descriptor, "rb") as file:
        return file.read(MAX_BYTES)


def _check(path: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"{path} is not a file", hint="it declares the project, and has to be a TOML file")
    if status.st_size > MAX_BYTES:
        raise UsageError(
            f"{path}:1:1: the file has {status.st_size} bytes; at most {MAX_BYTES} are read",
            hint="data belongs into a file of its own, named by a step's inputs",
        )
