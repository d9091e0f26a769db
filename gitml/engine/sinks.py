"""What a walk over the worktree does with each thing it meets: digest it, or put it in the store as well."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol

from gitml.engine.view import Witness
from gitml.hashing.file import digest_bytes, signature_of
from gitml.hashing.statcache import StatCache
from gitml.hashing.tree import kind_of
from gitml.model.digest import Digest
from gitml.model.tree import Entry, Kind
from gitml.store.checkout import check_link
from gitml.store.objects import ObjectStore

JUNK = frozenset(
    (".git", "__pycache__", ".DS_Store", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache", ".ruff_cache")
)
"""Names that tools leave in folders and that are nobody's input."""


class GitForm(Protocol):
    """What Git says about the form in which it stores a file of the worktree."""

    def holds(self, path: str) -> bool:
        """Tell whether Git tracks the file."""

    def kind(self, path: str, status: os.stat_result) -> Kind:
        """Give a file's kind: the index's where the file system has no executable bit."""

    def commit_of(self, path: str, witness: Witness) -> Digest | None:
        """Give what names the commit of a submodule, if what lies at the path is a clean checkout of one."""

    def converted(self, path: str) -> bytes | None:
        """Give the bytes that Git would store, where they differ from the file's (line ends, filters)."""


def is_junk(path: str) -> bool:
    """Tell whether a member of an input folder is left out."""
    name = path.rpartition("/")[2]
    return name in JUNK or name.endswith((".pyc", ".pyo")) or name.startswith(".gitml-")


class DigestSink:
    """Digests inputs, leaving out junk; writes down what it looked at and the links it met."""

    def __init__(
        self,
        *,
        git: GitForm,
        cache: StatCache,
        witness: Witness,
        tree: Callable[[bytes], Digest] = digest_bytes,
        keep_junk: bool = False,
    ) -> None:
        self._git = git
        self._cache = cache
        self._witness = witness
        self._tree = tree
        self._keep_junk = keep_junk
        self.links: dict[str, bytes] = {}

    def skips(self, path: str) -> bool:
        """Leave out junk."""
        return not self._keep_junk and is_junk(path)

    def whole(self, path: str) -> Entry | None:
        """Take a clean submodule by its commit; one that is not is a folder like any other."""
        commit = self._git.commit_of(path, self._witness)
        return None if commit is None else Entry(Kind.DIRECTORY, commit, 0, 0)

    def file(self, path: str, status: os.stat_result) -> Entry:
        """Digest a file in the form that Git stores, where Git holds it."""
        held = self._git.holds(path)
        kind = self._git.kind(path, status) if held else kind_of(status)
        converted = self._git.converted(path) if held else None
        if converted is not None:
            self._witness[path] = signature_of(status)
            return Entry(kind, digest_bytes(converted), len(converted))
        signature, digest = self._cache.digest(path, status, held=held)
        self._witness[path] = signature
        return Entry(kind, digest, signature.size)

    def symlink(self, path: str, status: os.stat_result, text: bytes) -> Digest:
        """Digest a link's text and note where it leads."""
        self._witness[path] = signature_of(status)
        self.links[path] = text
        return digest_bytes(text)

    def folder(self, path: str, status: os.stat_result, data: bytes) -> Digest:
        """Digest a folder; its own stat tells when a member was added or removed."""
        self._witness[path] = signature_of(status)
        return self._tree(data)


class StoringSink:
    """Puts outputs into the store while digesting them; nothing is left out."""

    def __init__(self, *, git: GitForm, root: str, cache: StatCache, objects: ObjectStore) -> None:
        self._git = git
        self._root = root
        self._cache = cache
        self._objects = objects

    def skips(self, path: str) -> bool:
        """Keep all: an output is what the step left."""
        return False

    def whole(self, path: str) -> Entry | None:
        """Store all: Git holds nothing in an output."""
        return None

    def file(self, path: str, status: os.stat_result) -> Entry:
        """Store a file, unless the store is known to have its bytes."""
        kind = self._git.kind(path, status) if self._git.holds(path) else kind_of(status)
        converted = self._git.converted(path) if self._git.holds(path) else None
        if converted is not None:  # an output that Git holds; put back from here, it would miss the way out of Git
            return Entry(kind, digest_bytes(converted), len(converted))
        signature = signature_of(status)
        known = self._cache.known(path, signature)
        if known is not None and self._objects.has(known, signature.size):
            return Entry(kind, known, signature.size)
        began = self._cache.begin(signature)
        found = self._objects.add_file(os.path.join(self._root, path))
        self._cache.remember(path, found, began)
        return Entry(kind, found.digest, found.signature.size)

    def symlink(self, path: str, status: os.stat_result, text: bytes) -> Digest:
        """Store a link's text; one that leads outside the project could never be restored safely, and is refused."""
        check_link(path, text)
        return self._objects.add_bytes(text)

    def folder(self, path: str, status: os.stat_result, data: bytes) -> Digest:
        """Store a tree object."""
        return self._objects.add_bytes(data)
