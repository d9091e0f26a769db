"""Find good copies of objects that cannot be had: in the worktrees where they are needed, and where they came from.

A copy counts when its bytes have the digest. So nothing here can put wrong bytes into the store, whatever stands in a
worktree, and a copy that cannot be read, or changes meanwhile, is none.
"""

from __future__ import annotations

import contextlib
import os
import stat

from gitml.engine.sinks import is_junk
from gitml.errors import GitmlError
from gitml.hashing.file import digest_bytes, digest_file
from gitml.hashing.meter import Meter
from gitml.hashing.tree import kind_of, walk
from gitml.model.digest import Digest
from gitml.model.tree import Entry, Kind
from gitml.model.url import shown_url
from gitml.project.needs import Need
from gitml.project.project import Project
from gitml.remote.download import Patience, Wanted, download
from gitml.remote.protocol import Fetchers
from gitml.store.incoming import receiving
from gitml.store.link import linked_object
from gitml.store.objects import ObjectStore


def restore_from_worktree(objects: ObjectStore, need: Need) -> str | None:
    """Store an object again from where its bytes belong in a worktree; gives the path that had them."""
    if need.holder.base is None:
        return None
    path = os.path.join(need.holder.base, need.path)
    wanted = need.lack.digest
    with contextlib.suppress(OSError, GitmlError):
        status = os.lstat(path)
        if need.lack.kind is Kind.DIRECTORY:
            found = stat.S_ISDIR(status.st_mode) and _add_tree(objects, need, path)
        elif stat.S_ISLNK(status.st_mode):
            text = os.readlink(os.fsencode(path))
            found = digest_bytes(text) == wanted and objects.add_bytes(text) == wanted
        else:
            found = _is_file(status, need) and digest_file(path).digest == wanted
            found = found and objects.add_file(path).digest == wanted
        return path if found else None
    return None


def restore_from_url(project: Project, need: Need, meter: Meter) -> str | None:
    """Store a source of this worktree again from where it was downloaded; gives the URL.

    Raises:
        RemoteError: It cannot be had from there, or is something else by now.
    """
    pointer, lack = need.holder.pointer, need.lack
    if pointer is None or pointer.url is None or lack.path or lack.size is None or need.holder.base != project.root:
        return None
    wanted = Wanted(need.path, pointer.url, only=(lack.digest, lack.size))
    with receiving(project.store.objects) as incoming:
        download(Fetchers(project.environ).at(pointer.url), wanted, incoming.descriptor, meter, Patience())
        with project.store.lease.writing():
            incoming.publish(lack.digest, lack.size)
    return shown_url(pointer.url)


def shares(objects: ObjectStore, need: Need, kept: str) -> str | None:
    """Name the worktree file that is the damaged object itself (moved to `kept`): a hard link, or a link to its place.

    Whoever edited it there meant to edit the file, and its bytes are the only copy of that.
    """
    if need.holder.base is None:
        return None
    path = os.path.join(need.holder.base, need.path)
    with contextlib.suppress(OSError):
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            return path if os.readlink(path) == objects.path(need.lack.digest) else None
        return path if os.path.samestat(status, os.lstat(kept)) else None
    return None


def _is_file(status: os.stat_result, need: Need) -> bool:
    return stat.S_ISREG(status.st_mode) and need.lack.size in (None, status.st_size)


def _add_tree(objects: ObjectStore, need: Need, path: str) -> bool:
    root, name = os.path.split(path)
    sink = _Trees(objects, root, need.lack.digest, keep_junk=need.holder.pointer is None)
    walk(root, name, sink)
    return sink.found


class _Trees:
    """Digests a folder and stores the one tree object that is wanted."""

    def __init__(self, objects: ObjectStore, root: str, wanted: Digest, *, keep_junk: bool) -> None:
        self._objects = objects
        self._root = root
        self._wanted = wanted
        self._keep_junk = keep_junk
        self.found = False

    def skips(self, path: str) -> bool:
        """Leave out what was left out of a source, and nothing of an output."""
        return not self._keep_junk and is_junk(path)

    def whole(self, path: str) -> Entry | None:
        """Look into every folder."""
        return None

    def file(self, path: str, status: os.stat_result) -> Entry:
        """Digest a file."""
        return Entry(kind_of(status), digest_file(self._full(path)).digest, status.st_size)

    def linked(self, path: str, text: bytes) -> Entry | None:
        """Take a link into the store for the file that it stands for."""
        stored = linked_object(self._objects.root, text)
        return None if stored is None else Entry(Kind.FILE, stored, os.stat(self._full(path)).st_size)

    def symlink(self, path: str, status: os.stat_result, text: bytes) -> Digest:
        """Digest a link by its text."""
        return digest_bytes(text)

    def folder(self, path: str, status: os.stat_result, data: bytes) -> Digest:
        """Digest a folder, and store it if it is the one."""
        digest = digest_bytes(data)
        self.found = self.found or digest == self._wanted
        return self._objects.add_bytes(data) if digest == self._wanted else digest

    def _full(self, path: str) -> str:
        return os.path.join(self._root, path)
