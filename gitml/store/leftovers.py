"""What kills and damage have left in a cache: temporary files, and objects that were moved out of the way."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator

_TEMPORARY_FOR_S = 86400.0
"""No file in `tmp/` is written to for as long as this without its times moving."""


def leftovers(root: str, now: float, is_young: Callable[[float], bool]) -> Iterator[tuple[str, int]]:
    """Give path and size of each temporary file older than a day, and of what was quarantined before the grace period.

    A rename moves the time of the last change of the inode, so that counts as well as that of the bytes.
    """
    yield from _old(os.path.join(root, "tmp"), lambda moment: now - moment < _TEMPORARY_FOR_S)
    yield from _old(os.path.join(root, "quarantine"), is_young)


def _old(folder: str, is_young: Callable[[float], bool]) -> Iterator[tuple[str, int]]:
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as members:
        for member in members:
            with contextlib.suppress(FileNotFoundError):
                status = member.stat(follow_symlinks=False)
                if not stat.S_ISDIR(status.st_mode) and not is_young(max(status.st_mtime, status.st_ctime)):
                    yield member.path, status.st_size
