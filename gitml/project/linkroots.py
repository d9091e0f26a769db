"""Symlinks into the cache: what they lead to is needed, whether or not a lock or pointer names it.

Under `cache.link = symlink` the cache has the only copy of a file. Its pointer may be gone (`git rm`, `git reset`, a
step that was taken out), and the link still stands in a worktree, or among what was put aside. So worktrees are walked
for links; that costs 0.6 us a file, and 4 us a link.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from gitml.git.roots import UnreadableRootError
from gitml.model.digest import Digest
from gitml.model.mention import Mentions
from gitml.store.link import linked_object

_ASIDE = ("rescued", "failed", "aside")


def links_in_worktree(worktree: str, machine: str, cache: str) -> Iterator[tuple[str, str, Mentions]]:
    """Give each link into the cache: where it is, its path there, and the object that it mentions.

    `machine`: the worktree's `$GIT_DIR/gitml`.

    Raises:
        UnreadableRootError: A folder cannot be read.
    """
    yield from _below(worktree, f"links in {worktree}", cache)
    tops = [machine, *_folders(os.path.join(machine, "projects"))]
    for folder in (os.path.join(top, name) for top in tops for name in _ASIDE):
        yield from _below(folder, f"links in {folder}", cache)


def _below(top: str, where: str, cache: str) -> Iterator[tuple[str, str, Mentions]]:
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as members:
                found = [(member.path, member.is_symlink(), member.is_dir(follow_symlinks=False)) for member in members]
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise UnreadableRootError(
                f"{folder} cannot be read, so links into the cache may be overlooked: {error.strerror}",
                hint="make it readable, then try again",
            ) from error
        for path, is_link, is_folder in found:
            if is_folder and os.path.basename(path) != ".git":
                waiting.append(path)
            elif is_link:
                digest = _object(path, cache)
                if digest is not None:
                    names = frozenset((str(digest),))
                    yield where, os.path.relpath(path, top), Mentions(names, names)


def _object(path: str, cache: str) -> Digest | None:
    try:
        text = os.readlink(os.fsencode(path))
    except OSError:  # it is gone, or something else by now
        return None
    return linked_object(cache, text)


def _folders(folder: str) -> list[str]:
    try:
        return [os.path.join(folder, name) for name in os.listdir(folder)]
    except (FileNotFoundError, NotADirectoryError):
        return []
