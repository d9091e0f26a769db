"""Replace small files whole: a reader sees the old bytes or the new ones, and a kill leaves one of them."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable

from gitml.store.sharing import make_folder, share_file

_serial = itertools.count()


def write_atomically(path: str, data: bytes, *, tmp: str, sync: bool = False, cache: str | None = None) -> None:
    """Write `data` to a file in `tmp` (same file system), then rename it to `path`; folders are made as needed.

    `sync`: the bytes are on disk before the name is, which costs 0.3 ms and lets a power cut leave no half.
    `cache`: the cache that it is part of, whose group may write it if it may write there.
    """
    temporary = os.path.join(tmp, f"{os.getpid()}-{next(_serial)}.tmp")
    _making_folders(tmp, cache, lambda: _write(temporary, data, sync=sync, cache=cache))
    try:
        _making_folders(os.path.dirname(path), cache, lambda: os.replace(temporary, path))
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _write(path: str, data: bytes, *, sync: bool, cache: str | None) -> None:
    try:
        with open(path, "wb") as file:
            file.write(data)
            if cache is not None:
                share_file(cache, file.fileno(), 0o664)
            if sync:
                file.flush()
                os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        raise


def _making_folders(folder: str, cache: str | None, act: Callable[[], None]) -> None:
    try:
        act()
    except FileNotFoundError:
        if cache is None:
            os.makedirs(folder, exist_ok=True)
        else:
            make_folder(cache, folder)
        act()
