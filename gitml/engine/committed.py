"""Small files that gitml keeps in the worktree and people commit: locks and pointers.

A clone can bring anything in their place. They are read without following a link and without waiting for a writer of a
pipe, and never more of them than they may hold.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
from collections.abc import Callable

from gitml.errors import GitmlError
from gitml.model.path import parents
from gitml.store.beneath import parent_of

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_serial = itertools.count()

Refusal = Callable[[str, str, str], GitmlError]
"""Makes the error for a path of what is wrong and a hint."""


class CommittedFiles:
    """Files of one kind (`noun`) below the project at `root`; `tmp` is outside the worktree, for half-written ones."""

    def __init__(self, root: str, tmp: str, *, noun: str, largest: int, refusal: Refusal) -> None:
        self._root = root
        self._tmp = tmp
        self._noun = noun
        self._largest = largest
        self._refusal = refusal
        self._real: set[str] = set()

    def read(self, path: str) -> bytes | None:
        """Read a file, or one byte more than it may have; None when there is none.

        A file of zeros counts as none: these files are not synced, so a power cut may leave a name without its bytes.
        """
        self.refuse_links(os.path.dirname(path))
        try:
            descriptor = os.open(os.path.join(self._root, path), _READ)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise self._refusal(path, f"a {self._noun} may not be a symlink", "replace it by a file") from error
            raise self._refusal(path, os.strerror(error.errno or 0), "restore it with `git checkout`") from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise self._refusal(path, "not a file", "remove it")
        with open(descriptor, "rb") as file:
            data = file.read(self._largest + 1)
        return data if data.strip(b"\0") else None

    def write(self, path: str, data: bytes) -> None:
        """Replace a file whole. A link below the project's root is never followed."""
        name_of_half = f"{self._noun}-{os.getpid()}-{next(_serial)}"
        with parent_of(self._root, path, create=True) as (parent, name):
            temporary = os.path.join(self._tmp, name_of_half)
            os.makedirs(self._tmp, exist_ok=True)
            try:
                _write(temporary, data)
                os.rename(temporary, name, dst_dir_fd=parent)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                half = os.open("." + name_of_half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=parent)
                with open(half, "wb") as file:
                    file.write(data)
                os.rename("." + name_of_half, name, src_dir_fd=parent, dst_dir_fd=parent)

    def remove(self, path: str) -> None:
        """Delete a file, by its path relative to the project."""
        with parent_of(self._root, path) as (parent, name):
            os.unlink(name, dir_fd=parent)

    def refuse_links(self, folder: str) -> None:
        """Refuse a folder that a link leads out of the project; looked at once, `write` looks each time.

        A step must not run for a day before it is found that its lock cannot be written.
        """
        if folder not in self._real:
            for part in (folder, *parents(folder)):
                if os.path.islink(os.path.join(self._root, part)):
                    raise self._refusal(part, f"{self._noun}s may not lie behind a symlink", "replace it by a folder")
            self._real.add(folder)


def _write(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
