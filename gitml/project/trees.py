"""Tree objects of folders: those that the store has, and those of the worktree, made while walking it."""

from __future__ import annotations

import os
from collections.abc import Sequence

from gitml.engine.gitform import WorktreeGit
from gitml.engine.sinks import DigestSink
from gitml.engine.world import Look
from gitml.hashing.file import digest_bytes
from gitml.hashing.folderrow import FolderRow
from gitml.hashing.folders import FolderCache
from gitml.hashing.scan import Scan
from gitml.hashing.tree import walk
from gitml.model.digest import Digest
from gitml.model.tree import Entry, Kind, TreeEntry, decode_tree
from gitml.project.project import Project
from gitml.project.treediff import Changes, FolderChanges, Members, compare_folders, count_changes
from gitml.store.checkout import members


class Present:
    """Tree objects of what stands in the worktree; those of folders of data are made when they are asked for."""

    def __init__(self, folders: FolderCache) -> None:
        self._folders = folders
        self._noted: dict[Digest, bytes] = {}
        self._paths: dict[Digest, tuple[str, FolderRow]] | None = None
        self.scans: Sequence[Scan] = ()

    def note(self, data: bytes) -> Digest:
        """Keep a tree object."""
        digest = digest_bytes(data)
        self._noted[digest] = data
        return digest

    def get(self, digest: Digest) -> bytes | None:
        """Give a tree object; None when nothing that stands there has it."""
        if self._paths is None:
            rows = (item for scan in self.scans for item in scan.rows.items())
            self._paths = {Digest.from_raw(row.tree): (path, row) for path, row in rows}
        found = self._paths.get(digest)
        if found is None:
            return self._noted.get(digest)
        return self._folders.tree(*found)


class Trees:
    """Compares folders of a project with what the store knows of them."""

    def __init__(self, project: Project, look: Look) -> None:
        self._objects = project.store.objects
        self._cache = project.cache
        self._root = project.root
        self._git = WorktreeGit(look.held, project.root)
        self._scans = look.view.scans

    def compare(self, path: str, before: Digest, after: Digest) -> FolderChanges | None:
        """Compare a folder input with what an earlier run has read."""
        real = os.path.relpath(os.path.realpath(os.path.join(self._root, path)), self._root)
        present, _ = self._walk(real, keep_junk=False)
        return compare_folders(before, after, self._stored, self._either(present))

    def compare_output(self, path: str, before: Digest) -> FolderChanges | None:
        """Compare a folder that a step wrote with what stands there now."""
        present, after = self._walk(path, keep_junk=True)
        return None if after is None else compare_folders(before, after, self._stored, self._either(present))

    def count(self, path: str, before: Entry, after: Entry) -> Changes | None:
        """Count what differs between a source's record and what stands there now (`after`)."""
        present, _ = self._walk(path, keep_junk=False)
        return count_changes(before, after, self._stored, self._either(present))

    def count_stored(self, before: Entry, after: Entry) -> Changes | None:
        """Count what differs between two versions that were both put into the store."""
        return count_changes(before, after, self._stored, self._stored)

    def _walk(self, path: str, *, keep_junk: bool) -> tuple[Present, Digest | None]:
        trees = Present(self._cache.folders)
        scans = None if keep_junk else self._scans
        sink = DigestSink(
            git=self._git, cache=self._cache, witness={}, tree=trees.note, keep_junk=keep_junk, scans=scans, lazy=True
        )
        entry = walk(self._root, path, sink)
        trees.scans = sink.scanned
        return trees, entry.digest if entry is not None and entry.kind is Kind.DIRECTORY else None

    def _stored(self, digest: Digest) -> Sequence[TreeEntry]:
        return members(self._objects, digest)

    def _either(self, present: Present) -> Members:
        def read(digest: Digest) -> Sequence[TreeEntry]:
            data = present.get(digest)
            return decode_tree(data) if data is not None else self._stored(digest)

        return read
