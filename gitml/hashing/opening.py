"""Open folders below a root without following a symlink on the way."""

from __future__ import annotations

import os

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_folder(root: int, path: str) -> int:
    """Open `path` below the open folder `root` (`.`: itself), each component from the one above it.

    Raises:
        OSError: A component is missing, a file or a symlink (ENOTDIR, ELOOP).
    """
    descriptor = os.open(".", FOLDER, dir_fd=root)
    if path == ".":
        return descriptor
    for name in path.split("/"):
        try:
            below = os.open(name, FOLDER, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = below
    return descriptor
