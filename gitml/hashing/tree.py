"""Walk a file or folder on disk into the entry that names its content."""

from __future__ import annotations

import os
import stat
from typing import Protocol

from gitml.errors import UsageError
from gitml.hashing.file import NotRegularError
from gitml.model.digest import Digest
from gitml.model.path import PathError, check_name
from gitml.model.tree import DEEPEST, Entry, Kind, TreeEntry, encode_tree


class Sink(Protocol):
    """What a walk asks about each thing it meets; paths are relative to the walk's root."""

    def skips(self, path: str) -> bool:
        """Tell whether a member of a folder is left out."""

    def whole(self, path: str) -> Entry | None:
        """Give the entry of a folder that is known without a look into it."""

    def file(self, path: str, status: os.stat_result) -> Entry:
        """Digest a regular file (kind `FILE` or `EXECUTABLE`)."""

    def linked(self, path: str, text: bytes) -> Entry | None:
        """Give the entry of the file that a link stands for, where it leads to an object of the store."""

    def symlink(self, path: str, status: os.stat_result, text: bytes) -> Digest:
        """Digest a link by its text; may refuse it."""

    def folder(self, path: str, status: os.stat_result, data: bytes) -> Digest:
        """Digest a folder by its tree object. `status` was taken before the folder was listed."""


class UnnameableError(UsageError):
    """A name on disk cannot be part of a tree; `path` is where it stands."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}", hint="rename it or leave it out")
        self.path = path


def walk(root: str, path: str, sink: Sink) -> Entry | None:
    """Digest what stands at `root`/`path`, without following a symlink; None when nothing does.

    Folders are listed one at a time and children are digested before their parent; the order of a listing does not
    matter.

    Raises:
        NotRegularError: A pipe, socket or device was met.
        UnnameableError: A name would enter `.git` or `.gitml`.
        OSError: Something cannot be read.
    """
    try:
        status = os.lstat(os.path.join(root, path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    return _entry(root, path, status, sink)


def _entry(root: str, path: str, status: os.stat_result, sink: Sink) -> Entry:
    if stat.S_ISREG(status.st_mode):
        return sink.file(path, status)
    if stat.S_ISLNK(status.st_mode):
        text = os.readlink(os.fsencode(os.path.join(root, path)))
        stored = sink.linked(path, text)
        return stored or Entry(Kind.SYMLINK, sink.symlink(path, status, text), len(text))
    if stat.S_ISDIR(status.st_mode):
        return sink.whole(path) or _folder(root, path, status, sink)
    raise NotRegularError(path)


def _folder(root: str, path: str, status: os.stat_result, sink: Sink) -> Entry:
    if path.count("/") > DEEPEST:
        raise UnnameableError(path, f"folders are nested deeper than {DEEPEST}")
    entries = []
    size = files = 0
    with os.scandir(os.path.join(root, path)) as members:
        found = [(member.name, member) for member in members]
    for name, member in found:
        below = name if path == "." else f"{path}/{name}"
        if sink.skips(below):
            continue
        try:
            check_name(name)
        except PathError as error:
            raise UnnameableError(below, str(error)) from error
        entry = _entry(root, below, member.stat(follow_symlinks=False), sink)
        entries.append(TreeEntry(name, entry.kind, entry.digest, entry.size))
        size += entry.size
        files += entry.files
    return Entry(Kind.DIRECTORY, sink.folder(path, status, encode_tree(entries)), size, files)


def kind_of(status: os.stat_result) -> Kind:
    """Tell a regular file's kind by the owner's executable bit, as Git does."""
    return Kind.EXECUTABLE if status.st_mode & stat.S_IXUSR else Kind.FILE
