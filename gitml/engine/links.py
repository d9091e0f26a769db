"""Where symlinks lead: every link on the way counts, because any of them may be turned to somewhere else."""

from __future__ import annotations

import os
from typing import NamedTuple

_MOST = 40
"""Links on one way, as Linux counts them (path_resolution(7)); more are a loop."""


class Way(NamedTuple):
    """From a path to where it ends. `links`: those on the way; `end`: None in a loop. All relative to the root."""

    links: tuple[str, ...]
    end: str | None


def follow(root: str, path: str) -> Way:
    """Follow a path below `root` (a real path) to its end, which need not exist and may lie outside."""
    links: list[str] = []
    here = root
    waiting = path.split("/")[::-1]
    while waiting:
        part = waiting.pop()
        if part == "..":
            here = os.path.dirname(here)
        elif part not in ("", "."):
            there = os.path.join(here, part)
            text = _text(there)
            if text is None:
                here = there
                continue
            links.append(os.path.relpath(there, root))
            if len(links) > _MOST:
                return Way(tuple(links), None)
            here = "/" if text.startswith("/") else here
            waiting.extend(text.split("/")[::-1])
    return Way(tuple(links), os.path.relpath(here, root))


def leads_to(root: str, link: str, text: bytes) -> str:
    """Name where the text of a link leads, lexically and relative to `root`: it begins with `..` outside of it."""
    return os.path.relpath(os.path.join(root, os.path.dirname(link), os.fsdecode(text)), root)


def is_outside(path: str) -> bool:
    """Tell whether a path that `follow` or `leads_to` gave lies outside of the root."""
    return path == ".." or path.startswith("../")


def _text(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None
