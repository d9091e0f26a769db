"""Put stored content into the worktree.

Crash story: everything is built under a temporary name beside its target (`.gitml-<random>`, in the same folder and so
in the same file system) and renamed; a kill leaves the target absent or whole. Names left over by a kill are removed
when the same output is written again, since they carry its name's digest.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sys

from gitml.errors import DamagedError
from gitml.hashing.file import digest_bytes
from gitml.model.digest import Digest
from gitml.model.tree import DEEPEST, Entry, Kind, TreeEntry, TreeError, decode_tree
from gitml.store.beneath import parent_of, remove
from gitml.store.objects import MissingObjectError, ObjectStore

_FICLONE = 0x40049409
_CLONE_FROM = 1 << 20
_NO_CLONE = (errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM)


class OutwardLinkError(DamagedError):
    """A symlink leads outside the project, so that it could never be put in place safely."""

    def __init__(self, path: str, text: bytes) -> None:
        super().__init__(f"symlink {path} -> {os.fsdecode(text)} leads outside the project")


def materialise(store: ObjectStore, entry: Entry, root: str, path: str) -> None:
    """Write `entry` to `root`/`path`, where nothing stands; parents are made, links on the way refused.

    Raises:
        FileExistsError: Something stands there.
        DamagedError: An object is missing, damaged, or names what would lead outside; nothing is left at `path`.
    """
    with parent_of(root, path, create=True) as (parent, name):
        temporary = ".gitml-" + digest_bytes(os.fsencode(name)).hex[:16]
        remove(parent, temporary)
        try:
            _write(store, entry, parent, temporary, path)
            _rename_new(parent, temporary, name)
        except BaseException:
            remove(parent, temporary)
            raise


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


def _write(store: ObjectStore, entry: Entry, parent: int, name: str, path: str) -> None:
    if entry.kind is Kind.DIRECTORY:
        if path.count("/") > 2 * DEEPEST:  # the project's own folders above an output count too
            raise DamagedError(f"object {entry.digest} is nested deeper than {DEEPEST} folders")
        os.mkdir(name, dir_fd=parent)
        folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            for member in members(store, entry.digest):
                below = Entry(member.kind, member.digest, member.size)
                _write(store, below, folder, member.name, f"{path}/{member.name}")
        finally:
            os.close(folder)
    elif entry.kind is Kind.SYMLINK:
        text = store.read(entry.digest)
        check_link(path, text)
        os.symlink(text, os.fsencode(name), dir_fd=parent)
    else:
        mode = 0o777 if entry.kind is Kind.EXECUTABLE else 0o666
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        target = os.open(name, flags, mode, dir_fd=parent)
        try:
            if entry.size < _CLONE_FROM or not _clone(store, entry.digest, target):
                store.copy_out(entry.digest, target)
        finally:
            os.close(target)


def check_link(path: str, text: bytes) -> None:
    """Refuse a link that is absolute or climbs out of the project, counted from `path`.

    Nor may it climb after it went down: `x/..` is not where it seems to be when `x` is a link itself.

    Raises:
        OutwardLinkError: It does.
    """
    parts = [part for part in text.split(b"/") if part not in (b"", b".")]
    climbs = parts.count(b"..")
    if text.startswith(b"/") or climbs > path.count("/") or b".." in parts[climbs:]:
        raise OutwardLinkError(path, text)


def _clone(store: ObjectStore, digest: Digest, target: int) -> bool:
    """Share the object's blocks with the target (Btrfs, XFS, bcachefs); the bytes are checked by reading them back."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        source = os.open(store.path(digest), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise MissingObjectError(digest) from None
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno in _NO_CLONE:
            return False
        raise
    finally:
        os.close(source)
    store.verify(digest)
    return True


def _rename_new(parent: int, temporary: str, name: str) -> None:
    """Rename without replacing anything: between this look and the rename only the claim's holder may write."""
    with contextlib.suppress(FileNotFoundError):
        os.stat(name, dir_fd=parent, follow_symlinks=False)
        raise FileExistsError(errno.EEXIST, "exists", name)
    os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
