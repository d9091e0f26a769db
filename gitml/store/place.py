"""Put one stored object in the place of a file: shared with the store where the user wants that, else copied."""

from __future__ import annotations

import os
from collections.abc import Sequence

from gitml.errors import DamagedError
from gitml.hashing.stream import hash_stream
from gitml.model.digest import Digest
from gitml.store.link import SHARED_FROM, clone, hard_link
from gitml.store.objects import Loose, MissingObjectError, ObjectStore


class OutwardLinkError(DamagedError):
    """A symlink leads outside the project; `path` is where it stands, or would."""

    def __init__(self, path: str, text: bytes) -> None:
        super().__init__(f"symlink {path} -> {os.fsdecode(text)} leads outside the project")
        self.path = path


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


def place_file(
    objects: ObjectStore, links: Sequence[str], digest: Digest, parent: int, name: bytes, *, executable: bool
) -> bytes:
    """Make the file `name` in an open folder, where nothing stands, have an object's bytes; gives its fingerprint.

    Every byte is read and checked on the way, whatever kind of link it becomes.

    Raises:
        MissingObjectError: The object is not there.
        CorruptObjectError: Its bytes have another digest; nothing is left at `name`.
    """
    found = objects.locate(digest)
    if found is None:
        raise MissingObjectError(digest)
    if isinstance(found, Loose) and found.size >= SHARED_FROM:
        for kind in links:
            if kind == "copy":
                break
            if _shared(kind, found, parent, name, executable=executable):
                return _checked(objects, digest, found, parent, name)
    return _copied(objects, digest, parent, name, executable=executable)


def _shared(kind: str, found: Loose, parent: int, name: bytes, *, executable: bool) -> bool:
    if kind == "reflink":
        return _cloned(found, parent, name, executable=executable)
    if executable:  # an object has one mode, 0444
        return False
    if kind == "hardlink":
        return hard_link(found.path, parent, os.fsdecode(name))
    os.symlink(found.path, name, dir_fd=parent)
    return True


def _cloned(found: Loose, parent: int, name: bytes, *, executable: bool) -> bool:
    target = _create(parent, name, executable=executable)
    try:
        source = os.open(found.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            done = clone(source, target)
        finally:
            os.close(source)
    finally:
        os.close(target)
    if not done:
        os.unlink(name, dir_fd=parent)
    return done


def _checked(objects: ObjectStore, digest: Digest, found: Loose, parent: int, name: bytes) -> bytes:
    """Read what is shared; its bytes are the object's."""
    descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=parent)
    try:
        hashes = hash_stream(descriptor, found.size)
    finally:
        os.close(descriptor)
    if hashes.digest != digest.raw:
        os.unlink(name, dir_fd=parent)
        raise objects.quarantine(digest)
    return hashes.xxh3


def _copied(objects: ObjectStore, digest: Digest, parent: int, name: bytes, *, executable: bool) -> bytes:
    target = _create(parent, name, executable=executable)
    try:
        mark = objects.copy_into(digest, target)
    except BaseException:
        os.unlink(name, dir_fd=parent)
        raise
    finally:
        os.close(target)
    return mark


def _create(parent: int, name: bytes, *, executable: bool) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(name, flags, 0o777 if executable else 0o666, dir_fd=parent)
