"""From the paths that a user types to those that gitml writes."""

from __future__ import annotations

import os

from gitml.errors import UsageError
from gitml.model.path import PathError, check_path
from gitml.store.beneath import SymlinkOnTheWayError


def project_path(root: str, cwd: str, typed: str) -> str:
    """Give a path that was typed in `cwd` relative to the project at `root` (both real paths); it need not exist.

    Raises:
        UsageError: It lies outside the project or inside `.git` or `.gitml`, or a link is on the way to it.
    """
    full = os.path.normpath(os.path.join(cwd, typed))
    if not _is_below(full, root):  # the way to the project itself may be through a link
        full = os.path.join(os.path.realpath(os.path.dirname(full)), os.path.basename(full))
    if not _is_below(full, root):
        raise UsageError(f"{typed} lies outside the project {root}", hint="a project holds only what is in its folder")
    relative = os.path.relpath(full, root)
    try:
        path = check_path(relative)
    except PathError as error:
        raise UsageError(f"{typed}: {error}") from error
    parts = path.split("/")
    for count in range(1, len(parts)):
        way = "/".join(parts[:count])
        if os.path.islink(os.path.join(root, way)):
            raise SymlinkOnTheWayError(path, way)
    return path


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")
