"""Put stored content into the worktree.

Crash story: everything is built under a temporary name beside its target (`.gitml-new-<digest of the name>`, in the
same folder and so in the same file system) and renamed; a kill leaves the target absent or whole. Names left over by a
kill are removed when the same output is written again.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator

from gitml.errors import DamagedError
from gitml.hashing.file import digest_bytes
from gitml.hashing.folderrow import pack_stat
from gitml.hashing.written import Written
from gitml.model.digest import Digest
from gitml.model.tree import DEEPEST, Entry, Kind, TreeEntry, TreeError, decode_tree
from gitml.store.beneath import parent_of, remove
from gitml.store.build import Building, build, plan
from gitml.store.objects import MissingObjectError, ObjectStore
from gitml.store.place import check_link, place_file

NEW = ".gitml-new-"
"""Begins the names of what is not whole yet."""


def materialise(building: Building, entry: Entry, root: str, path: str) -> list[Written]:
    """Write `entry` to `root`/`path`, where nothing stands; parents are made, links on the way refused.

    Gives the folders that were written, with paths relative to the root, for the stat cache.

    Raises:
        FileExistsError: Something stands there.
        DamagedError: An object is missing, damaged, or names what would lead outside; nothing is left at `path`.
    """
    with parent_of(root, path, create=True) as (parent, name):
        temporary = NEW + digest_bytes(os.fsencode(name)).hex[:16]
        remove(parent, temporary)
        try:
            written = _write(building, entry, parent, temporary, path)
            _rename_new(parent, temporary, name)
        except BaseException:
            remove(parent, temporary)
            raise
        return list(_at_place(written, parent, name, path))


def write_file(building: Building, entry: Entry, parent: int, name: bytes, path: str) -> None:
    """Write a file or symlink in an open folder, where nothing stands; `path` is where it will be."""
    if entry.kind is Kind.SYMLINK:
        text = building.objects.read(entry.digest)
        check_link(path, text)
        os.symlink(text, name, dir_fd=parent)
    else:
        is_executable = entry.kind is Kind.EXECUTABLE
        place_file(building.objects, building.links, entry.digest, parent, name, executable=is_executable)


def objects_of(store: ObjectStore, entry: Entry, *, depth: int = 0) -> MissingObjectError | None:
    """Look for all that an entry names, trees first; gives the first object that is missing or cut short.

    Raises:
        DamagedError: A tree is damaged, or nested deeper than any that gitml writes.
    """
    if depth > DEEPEST:
        raise DamagedError(f"object {entry.digest} is nested deeper than {DEEPEST} folders")
    if not store.has(entry.digest, None if entry.kind is Kind.DIRECTORY else entry.size):
        return MissingObjectError(entry.digest)
    if entry.kind is Kind.DIRECTORY:
        for member in members(store, entry.digest):
            below = Entry(member.kind, member.digest, member.size)
            missing = objects_of(store, below, depth=depth + 1)
            if missing is not None:
                return missing
    return None


def members(store: ObjectStore, digest: Digest) -> list[TreeEntry]:
    """Read a folder's entries.

    Raises:
        DamagedError: The object is missing, damaged or no tree.
    """
    try:
        return decode_tree(store.read(digest))
    except TreeError as error:
        raise DamagedError(f"object {digest}: {error}") from error


def _write(building: Building, entry: Entry, parent: int, name: str, path: str) -> list[Written]:
    if entry.kind is Kind.DIRECTORY:
        return build(building, plan(building.objects, entry.digest), parent, name, path)
    write_file(building, entry, parent, os.fsencode(name), path)
    return []


def _at_place(written: Iterable[Written], parent: int, name: str, path: str) -> Iterator[Written]:
    """Give folders the paths that they have now; the topmost one's own times changed when it was renamed."""
    for folder in written:
        if folder.path == ".":
            own = pack_stat(os.stat(name, dir_fd=parent, follow_symlinks=False))
            yield folder._replace(path=path, own=own)
        else:
            yield folder._replace(path=f"{path}/{folder.path}")


def _rename_new(parent: int, temporary: str, name: str) -> None:
    """Rename without replacing anything: between this look and the rename only the claim's holder may write."""
    with contextlib.suppress(FileNotFoundError):
        os.stat(name, dir_fd=parent, follow_symlinks=False)
        raise FileExistsError(errno.EEXIST, "exists", name)
    os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
