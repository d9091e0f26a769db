"""Tree objects of folders: those that the store has, and those of the worktree, made while walking it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from gitml.engine.gitform import WorktreeGit
from gitml.engine.sinks import DigestSink
from gitml.engine.world import Look
from gitml.hashing.file import digest_bytes
from gitml.hashing.tree import walk
from gitml.model.digest import Digest
from gitml.model.tree import Entry, Kind, TreeEntry, decode_tree
from gitml.project.project import Project
from gitml.project.treediff import Changes, FolderChanges, Members, compare_folders, count_changes
from gitml.store.checkout import members


class Trees:
    """Compares folders of a project with what the store knows of them."""

    def __init__(self, project: Project, look: Look) -> None:
        self._objects = project.store.objects
        self._cache = project.cache
        self._root = project.root
        self._git = WorktreeGit(look.held, project.root)

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
        present, _ = self._walk(path, keep_junk=False) if after.kind is Kind.DIRECTORY else ({}, None)
        return count_changes(before, after, self._stored, self._either(present))

    def count_stored(self, before: Entry, after: Entry) -> Changes | None:
        """Count what differs between two versions that were both put into the store."""
        return count_changes(before, after, self._stored, self._stored)

    def _walk(self, path: str, *, keep_junk: bool) -> tuple[dict[Digest, bytes], Digest | None]:
        trees: dict[Digest, bytes] = {}

        def note(data: bytes) -> Digest:
            digest = digest_bytes(data)
            trees[digest] = data
            return digest

        sink = DigestSink(git=self._git, cache=self._cache, witness={}, tree=note, keep_junk=keep_junk)
        entry = walk(self._root, path, sink)
        return trees, entry.digest if entry is not None and entry.kind is Kind.DIRECTORY else None

    def _stored(self, digest: Digest) -> Sequence[TreeEntry]:
        return members(self._objects, digest)

    def _either(self, present: Mapping[Digest, bytes]) -> Members:
        def read(digest: Digest) -> Sequence[TreeEntry]:
            data = present.get(digest)
            return decode_tree(data) if data is not None else self._stored(digest)

        return read
