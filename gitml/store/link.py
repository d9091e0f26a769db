"""Let worktree files and objects share their bytes: reflink, hard link or symlink, where the file system can.

- `reflink`: one extent, two files (`FICLONE`: Btrfs, XFS, bcachefs, NFS 4.2 servers on them). A write to either copies
  what it touches, so nothing can go wrong and it comes first by default.
- `hardlink`: one file, two names, read-only. Whoever makes it writable and edits it in place edits the object; that is
  found when the object is next verified, and is why it has to be asked for.
- `symlink`: the worktree has a link into the cache. Works across file systems.
- `copy`: always possible, and what all others fall back to.

Executable files are never hard links or symlinks: an object has one mode, 0444.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import re
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal, NamedTuple

from gitml.hashing.file import (
    ChangedWhileReadError,
    FileDigest,
    NotRegularError,
    StatSignature,
    digest_file,
    signature_of,
)
from gitml.model.digest import Digest
from gitml.store.objects import CorruptObjectError, MissingObjectError, ObjectStore
from gitml.store.sharing import make_folder, share_file

LinkType = Literal["reflink", "hardlink", "symlink", "copy"]
LINK_TYPES: tuple[LinkType, ...] = ("reflink", "hardlink", "symlink", "copy")
SHARED_FROM = 1 << 20
"""Smaller files are copied, by all that puts files into the store or back: that costs less than another extent."""

_FICLONE = 0x40049409
_CANNOT = frozenset(
    (
        errno.EOPNOTSUPP,
        errno.ENOTSUP,
        errno.ENOTTY,
        errno.EXDEV,
        errno.EINVAL,
        errno.ENOSYS,
        errno.EPERM,
        errno.EMLINK,
        errno.ETXTBSY,
    )
)
"""What a file system answers that does not do a kind of link, or not between these two places."""
_NAME = re.compile(rb"([0-9a-f]{2})/([0-9a-f]{62})\Z")
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_EXECUTABLE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH
_serial = itertools.count()


class Adopted(NamedTuple):
    """A file that was stored. `found`: its content, whose size and mode a symlink in its place does not have.

    `stands`: the stat of what stands there now: the same file, for a hard link now read-only; for a symlink, the link.
    """

    found: FileDigest
    stands: StatSignature


def adopt(objects: ObjectStore, path: str, links: Sequence[str]) -> Adopted:
    """Store the regular file at `path` (a full path) by the first kind in `links` that works, else by copying it.

    The bytes there are the same before and after, at every instant.

    Raises:
        NotRegularError: It is no regular file.
        ChangedWhileReadError: It was written to meanwhile; it stands as its writer left it.
        OSError: It cannot be read, or the cache cannot be written.
    """
    status = os.lstat(path)
    if not stat.S_ISREG(status.st_mode):
        raise NotRegularError(path)
    for kind in links if status.st_size >= SHARED_FROM else ():
        way = _WAYS.get(kind)
        found = way(objects, path, status) if way is not None else None
        if found is not None:
            return found
        if kind == "copy":
            break
    return _left_alone(objects.add_file(path))


def linked_object(root: str, text: bytes) -> Digest | None:
    """Name the object of the cache at `root` (an `ObjectStore.root`) that a symlink with this text leads to.

    None for any other link, and where the object is not there. Only the text is judged, so its form is the one that
    gitml writes: absolute, without `..`. Whoever knows the size compares it (`ObjectStore.has`).
    """
    folder = os.fsencode(os.path.join(root, "objects")) + b"/"
    match = _NAME.match(text[len(folder) :]) if text.startswith(folder) else None
    if match is None:
        return None
    try:
        status = os.lstat(text)
    except OSError:
        return None
    return Digest.from_raw(bytes.fromhex((match[1] + match[2]).decode())) if stat.S_ISREG(status.st_mode) else None


def clone(source: int, target: int) -> bool:
    """Make an open, empty target share the blocks of an open source; False where that cannot be."""
    if not sys.platform.startswith("linux"):
        return False
    return _tolerated(lambda: fcntl.ioctl(target, _FICLONE, source))


def hard_link(source: str, parent: int, name: str) -> bool:
    """Give the file at `source` another name in an open folder; False where that cannot be."""
    return _tolerated(lambda: os.link(source, name, dst_dir_fd=parent, follow_symlinks=False))


def _left_alone(found: FileDigest) -> Adopted:
    return Adopted(found, found.signature)


def _adopt_clone(objects: ObjectStore, path: str, status: os.stat_result) -> Adopted | None:
    """Clone first and hash the clone, which nobody else can write to."""
    temporary = _temporary(objects)
    try:
        signature = _cloned(path, temporary, objects.root)
        if signature is None:
            return None
        found = digest_file(temporary)
        objects.publish(temporary, found.digest)
    finally:
        _unlink(temporary)
    return _left_alone(FileDigest(signature, found.xxh3, found.digest))


def _cloned(path: str, temporary: str, root: str) -> StatSignature | None:
    """Clone a file into the cache at `root` and give the stat that it had throughout."""
    source = os.open(path, _READ)
    try:
        before = signature_of(os.fstat(source))
        target = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
        try:
            if not clone(source, target):
                return None
            share_file(root, target, 0o444)
            os.fsync(target)
        finally:
            os.close(target)
        if signature_of(os.fstat(source)) != before:
            raise ChangedWhileReadError(path)
        return before
    finally:
        os.close(source)


def _adopt_name(objects: ObjectStore, path: str, status: os.stat_result) -> Adopted | None:
    """Hash the file, then give it the object's name as well, or make it a name of the object that is there already.

    A file that has other names is not taken: whoever uses those expects to write to it.
    """
    if status.st_mode & _EXECUTABLE:
        return None
    found = digest_file(path)
    target = objects.path(found.digest)
    if _is_one(target, status):
        return _left_alone(found)
    if os.path.isfile(target) and _is_whole(objects, found.digest):
        return _replaced(objects, path, found, partial(os.link, target, follow_symlinks=False)) or _left_alone(found)
    if status.st_nlink > 1:
        return None
    temporary = _temporary(objects)
    try:
        if not _tolerated(partial(os.link, path, temporary, follow_symlinks=False)):
            return None
        if not _is_same(found.signature, os.lstat(temporary)):
            raise ChangedWhileReadError(path)
        if not _tolerated(partial(os.chmod, temporary, 0o444)):  # somebody else's file
            return None
        objects.publish(temporary, found.digest)
    finally:
        _unlink(temporary)
    after = os.lstat(path)
    if not _is_same(found.signature, after):
        raise objects.quarantine(found.digest)
    return _left_alone(FileDigest(signature_of(after), found.xxh3, found.digest))


def _adopt_behind_link(objects: ObjectStore, path: str, status: os.stat_result) -> Adopted | None:
    """Store the bytes, then replace the file by a symlink, whose text is the object's absolute path."""
    if status.st_mode & _EXECUTABLE:
        return None
    found = objects.add_file(path)
    target = os.path.abspath(objects.path(found.digest))
    if not os.path.isfile(target):  # it lies in a pack
        return _left_alone(found)
    return _replaced(objects, path, found, partial(os.symlink, target)) or _left_alone(found)


def _replaced(objects: ObjectStore, path: str, found: FileDigest, make: Callable[[str], object]) -> Adopted | None:
    """Put a link in the place of a file whose bytes are stored and checked; None where there can be none.

    The file is given a second name first and is dropped only when it is seen, behind the link, to be what was stored;
    a writer who came in between gets it back.
    """
    kept = _second_name(objects, path)
    if kept is None:
        return None
    try:
        is_placed = _place(path, found, kept + ".link", make)
    except BaseException:
        _unlink(kept)
        raise
    if is_placed and not _is_same(found.signature, os.lstat(kept)):
        os.rename(kept, path)
        raise ChangedWhileReadError(path)
    os.unlink(kept)
    return Adopted(found, signature_of(os.lstat(path))) if is_placed else None


def _place(path: str, found: FileDigest, link: str, make: Callable[[str], object]) -> bool:
    """Make a link under another name and rename it over the file; False, or an error: the file stands as it did."""
    try:
        if not _tolerated(partial(make, link)):
            return False
        if not _is_same(found.signature, os.lstat(path)):
            raise ChangedWhileReadError(path)
        os.rename(link, path)
        return True
    finally:
        _unlink(link)


def _second_name(objects: ObjectStore, path: str) -> str | None:
    """Give a file a second name, where a collector finds it if it is left, else beside it; None where that cannot be.

    A name beside it is one that is left out of inputs.
    """
    temporary = _temporary(objects)
    for name in (temporary, os.path.join(os.path.dirname(path), f".gitml-{os.path.basename(temporary)}")):
        if _tolerated(partial(os.link, path, name, follow_symlinks=False)):
            return name
    return None


_WAYS: Mapping[str, Callable[[ObjectStore, str, os.stat_result], Adopted | None]] = {
    "reflink": _adopt_clone,
    "hardlink": _adopt_name,
    "symlink": _adopt_behind_link,
}


def _is_same(hashed: StatSignature, now: os.stat_result) -> bool:
    """Tell whether a file is as it was when it was hashed; giving it a name or a mode changes its ctime."""
    return (hashed.size, hashed.mtime_ns, hashed.inode) == signature_of(now)[:2] + signature_of(now)[3:4]


def _is_one(path: str, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.lstat(path), status)
    except FileNotFoundError:
        return False


def _temporary(objects: ObjectStore) -> str:
    folder = os.path.join(objects.root, "tmp")
    make_folder(objects.root, folder)
    return os.path.join(folder, f"{os.getpid()}-link{next(_serial)}-{os.urandom(4).hex()}")


def _is_whole(objects: ObjectStore, digest: Digest) -> bool:
    """Read an object that somebody's bytes are to be given up for; one that is damaged is quarantined."""
    try:
        objects.verify(digest)
    except (CorruptObjectError, MissingObjectError):
        return False
    return True


def _tolerated(act: Callable[[], object]) -> bool:
    try:
        act()
    except OSError as error:
        if error.errno in _CANNOT:
            return False
        raise
    return True


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
