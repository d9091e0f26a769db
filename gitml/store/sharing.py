"""Share a cache with a group: what is made below a folder that the group may write to is the group's as well.

The sign is the cache folder's own mode (`chmod 2775 cache`), which everyone can see and only its owner can change; a
umask, which would take the group's bits away again, does not count below it.
"""

from __future__ import annotations

import contextlib
import os
import stat


def is_shared(root: str) -> bool:
    """Tell whether the group may write to a folder; not so for one that does not exist."""
    try:
        return bool(os.stat(root).st_mode & stat.S_IWGRP)
    except FileNotFoundError:
        return False


def make_folder(root: str, path: str) -> None:
    """Make `path` and the folders on the way, with the mode of `root`, above them, where that is shared.

    Nothing is done to a folder that exists already.
    """
    if not is_shared(root):
        os.makedirs(path, exist_ok=True)
        return
    mode = os.stat(root).st_mode & 0o2777
    folder = root
    for name in os.path.relpath(path, root).split(os.sep):
        folder = os.path.join(folder, name)
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder)
            os.chmod(folder, mode)


def share_file(root: str, descriptor: int, mode: int) -> None:
    """Give an open file, where it is ours, its `mode` in a cache at `root` that is shared.

    Elsewhere the umask has decided.
    """
    if is_shared(root):
        status = os.fstat(descriptor)
        if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) != mode:
            os.fchmod(descriptor, mode)
