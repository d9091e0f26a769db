"""The repositories that share a cache: `projects/<digest of the path>.json`, so that a collector can ask all of them.

Each file names one repository by its common Git directory, as an absolute real path. It is written before the
repository first writes to the cache and is removed only by hand (`gitml gc --forget`): a repository on a disk that is
not mounted today still needs its data. A cache inside a repository, which nobody else uses, has none of these.
"""

from __future__ import annotations

import contextlib
import json
import os

from gitml.errors import DamagedError
from gitml.hashing.file import digest_bytes
from gitml.store.atomic import write_atomically

SCHEMA = "gitml-project/1"


def register(cache: str, common_dir: str) -> None:
    """Say that a repository uses the cache; one look at the file system when that is known already."""
    path = _file(cache, common_dir)
    if not os.path.exists(path):
        data = json.dumps({"schema": SCHEMA, "common_dir": common_dir}).encode()
        write_atomically(path, data, tmp=os.path.join(cache, "tmp"), sync=True, cache=cache)


def registered(cache: str) -> list[str]:
    """List the repositories that use the cache, by their common Git directories.

    Raises:
        DamagedError: A file cannot be read, so that it is not known who uses the cache.
    """
    folder = os.path.join(cache, "projects")
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    return [_read(os.path.join(folder, name)) for name in names if name.endswith(".json")]


def forget(cache: str, path: str) -> bool:
    """Strike a repository off, given its common Git directory or its worktree (it may be gone); False: not known."""
    for common_dir in (path, os.path.join(path, ".git")):
        for spelling in {common_dir, os.path.realpath(common_dir)}:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(_file(cache, spelling))
                return True
    return False


def _file(cache: str, common_dir: str) -> str:
    return os.path.join(cache, "projects", digest_bytes(os.fsencode(common_dir)).hex[:40] + ".json")


def _read(path: str) -> str:
    with open(path, "rb") as file:
        data = file.read(1 << 20)
    try:
        match json.loads(data):
            case {"schema": str(schema), "common_dir": str(common_dir)} if schema == SCHEMA:
                if os.path.isabs(common_dir) and "\0" not in common_dir:
                    return common_dir
    except (ValueError, RecursionError):
        pass
    raise DamagedError(
        f"{path} does not name a repository, so it is not known who uses this cache",
        hint="delete the file, then call gitml in each repository that uses the cache",
    )
