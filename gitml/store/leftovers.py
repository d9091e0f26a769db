"""What kills have left in a cache: temporary files.

What lies in `quarantine/` is never deleted: an object whose bytes are wrong may be somebody's only copy of what they
wrote through a link into the cache. `gitml du` tells how much it is, and its owner may delete it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator

_TEMPORARY_FOR_S = 86400.0
"""No file in `tmp/` is written to for as long as this without its times moving."""


def leftovers(root: str, now: float) -> Iterator[tuple[str, int]]:
    """Give path and size of each temporary file that has not changed for a day; `now`: seconds since the epoch."""
    with contextlib.suppress(FileNotFoundError), os.scandir(os.path.join(root, "tmp")) as members:
        for member in members:
            with contextlib.suppress(FileNotFoundError):
                status = member.stat(follow_symlinks=False)
                changed = max(status.st_mtime, status.st_ctime)  # a rename moves the second
                if not stat.S_ISDIR(status.st_mode) and now - changed >= _TEMPORARY_FOR_S:
                    yield member.path, status.st_size
