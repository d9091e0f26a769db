"""Reach paths below a root without following a symlink on the way.

A folder of a clone can be replaced by a link to anywhere between a check and a write. So each component is opened
from the descriptor of the one above it with `O_NOFOLLOW`, and the last one is named relative to its parent.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from gitml.errors import UsageError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class SymlinkOnTheWayError(UsageError):
    """A component of a path that gitml was about to write through is a symlink (or a file)."""

    def __init__(self, path: str, component: str) -> None:
        super().__init__(
            f"{path} leads through {component}, which is not a folder",
            hint="replace it by a folder, or change the path",
        )


@contextlib.contextmanager
def parent_of(root: str, path: str, *, create: bool = False) -> Iterator[tuple[int, str]]:
    """Open the folder that holds `root`/`path`; gives its descriptor and the last component.

    Raises:
        FileNotFoundError: A folder on the way is missing and `create` is off.
        SymlinkOnTheWayError: A component on the way is a symlink or a file.
    """
    *folders, name = path.split("/")
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for count, folder in enumerate(folders):
            below = _enter(descriptor, folder, path, "/".join(folders[: count + 1]), create=create)
            os.close(descriptor)
            descriptor = below
        yield descriptor, name
    finally:
        os.close(descriptor)


def remove(parent: int, name: str) -> None:
    """Delete a file, link or whole folder named relative to an open folder; nothing there is no error."""
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(status.st_mode):
        os.unlink(name, dir_fd=parent)
        return
    descriptor = os.open(name, _FOLDER, dir_fd=parent)
    try:
        os.fchmod(descriptor, stat.S_IMODE(status.st_mode) | stat.S_IRWXU)
        for member in os.listdir(descriptor):
            remove(descriptor, member)
    finally:
        os.close(descriptor)
    os.rmdir(name, dir_fd=parent)


def remove_path(path: str) -> None:
    """Delete a file, link or whole folder by its full path, without following a link below its parent."""
    folder, name = os.path.split(path)
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            remove(descriptor, name)
        finally:
            os.close(descriptor)


def _enter(parent: int, name: str, path: str, so_far: str, *, create: bool) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=parent)
    except FileNotFoundError:
        if not create:
            raise
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, dir_fd=parent)
        return _enter(parent, name, path, so_far, create=False)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise SymlinkOnTheWayError(path, so_far) from error
        raise
