"""What a walk over the worktree does with each thing it meets: digest it, or put it in the store as well."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable
from functools import partial
from typing import Protocol

from gitml.engine.ingest import Storing, refuse_outward
from gitml.engine.witness import Below, Witness
from gitml.hashing.file import digest_bytes, signature_of
from gitml.hashing.folders import FolderCache
from gitml.hashing.intake import Digesting
from gitml.hashing.meter import SILENT, Meter
from gitml.hashing.scan import Scan, Scanner, Scans, Want, links_in
from gitml.hashing.statcache import StatCache
from gitml.hashing.tree import kind_of
from gitml.model.digest import Digest
from gitml.model.tree import Entry, Kind
from gitml.store.link import adopt
from gitml.store.store import Store

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

    def holds_below(self, path: str) -> bool:
        """Tell whether Git tracks something below a folder."""

    def commit_of(self, path: str, witness: Witness) -> Digest | None:
        """Give what names the commit of a submodule, if what lies at the path is a clean checkout of one."""

    def converted(self, path: str) -> bytes | None:
        """Give the bytes that Git would store, where they differ from the file's (line ends, filters)."""


def is_junk(path: str) -> bool:
    """Tell whether a member of an input folder is left out."""
    name = path.rpartition("/")[2]
    return name in JUNK or name.endswith((".pyc", ".pyo")) or name.startswith(".gitml-")


class DigestSink:
    """Digests inputs, leaving out junk; writes down what it looked at and the links it met.

    `tree` is given each tree object, unless `has_tree` knows the topmost of a folder of data already. `lazy`: those of
    folders of data are not made; `scanned` has what they can be made of.
    """

    def __init__(
        self,
        *,
        git: GitForm,
        cache: StatCache,
        witness: Witness,
        tree: Callable[[bytes], Digest] = digest_bytes,
        has_tree: Callable[[Digest], bool] = lambda digest: False,
        keep_junk: bool = False,
        scans: Scans | None = None,
        lazy: bool = False,
    ) -> None:
        self._git = git
        self._cache = cache
        self._witness = witness
        self._tree = tree
        self._has_tree = has_tree
        self._keep_junk = keep_junk
        self._scans = scans
        self._lazy = lazy
        self.scanned: list[Scan] = []
        self.links: dict[str, bytes] = {}

    def skips(self, path: str) -> bool:
        """Leave out junk."""
        return not self._keep_junk and is_junk(path)

    def whole(self, path: str) -> Entry | None:
        """Take a clean submodule by its commit; one that is not is a folder like any other."""
        commit = self._git.commit_of(path, self._witness)
        if commit is not None:
            return Entry(Kind.DIRECTORY, commit, 0, 0)
        return None if self._git.holds_below(path) else self._scanned(path)

    def _scanned(self, path: str) -> Entry | None:
        """Take a folder that Git has no part in by what is remembered of it; None where nothing can be remembered."""
        scan = None if self._scans is None else self._scans.find(path)
        if scan is None:
            want = Want(
                intake=self._intake,
                meter=SILENT,
                is_junk=is_junk,
                keep_junk=self._keep_junk,
                keep_listed=self._scans is None,
            )
            scan = Scanner(self._cache.folders, want).scan(path)
        if not self._lazy and not self._gave_trees(scan):
            return None
        self.scanned.append(scan)
        if self._scans is not None:
            self._scans.add(path, scan)
        self._witness[path] = Below(scan.rows, scan.young)
        if scan.has_links:
            self._note_links(scan)
        return scan.entry

    def _intake(self) -> Digesting:
        return Digesting(self._cache.folders.linked)

    def _gave_trees(self, scan: Scan) -> bool:
        """Hand over every tree object, those of inner folders first, where they are wanted; tells whether it could."""
        if self._tree is digest_bytes or self._has_tree(scan.entry.digest):
            return True
        for path in sorted(scan.rows, reverse=True):
            data = self._cache.folders.tree(path, scan.rows[path])
            if data is None:
                return False
            self._tree(data)
        return True

    def _note_links(self, scan: Scan) -> None:
        root = self._cache.folders.root
        for path, name in links_in(self._cache.folders, scan):
            full = os.path.join(root, path, os.fsdecode(name))
            text = os.readlink(os.fsencode(full))
            if self._cache.folders.linked(text) is None:
                self.links[posixpath.normpath(f"{path}/{os.fsdecode(name)}")] = text

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

    def linked(self, path: str, text: bytes) -> Entry | None:
        """Take a link into the store for the file that it stands for."""
        found = file_behind(self._cache.folders, path, text)
        if found is not None:
            for one in (path, os.fsdecode(text)):  # the object may go while the link to it stays as it is
                self._witness[one] = signature_of(os.lstat(os.path.join(self._cache.folders.root, one)))
        return found

    def symlink(self, path: str, status: os.stat_result, text: bytes) -> Digest:
        """Digest a link's text and note where it leads."""
        self._witness[path] = signature_of(status)
        self.links[path] = text
        return digest_bytes(text)

    def folder(self, path: str, status: os.stat_result, data: bytes) -> Digest:
        """Digest a folder; its own stat tells when a member was added or removed."""
        self._witness[path] = signature_of(status)
        return self._tree(data)


def file_behind(folders: FolderCache, path: str, text: bytes) -> Entry | None:
    """Give the entry of the object of the store that a link leads to, if it is one."""
    stored = folders.linked(text)
    if stored is None:
        return None
    return Entry(Kind.FILE, stored, os.stat(os.path.join(folders.root, path)).st_size)


class StoringSink:
    """Puts outputs into the store while digesting them, or, without `keep_junk`, sources."""

    def __init__(
        self, *, git: GitForm, cache: StatCache, store: Store, meter: Meter = SILENT, keep_junk: bool = True
    ) -> None:
        self._git = git
        self._root = cache.folders.root
        self._cache = cache
        self._store = store
        self._objects = store.objects
        self._meter = meter
        self._keep_junk = keep_junk

    def skips(self, path: str) -> bool:
        """Keep all of an output, which is what the step left; of a source what an input would."""
        return not self._keep_junk and is_junk(path)

    def whole(self, path: str) -> Entry | None:
        """Store a folder at once, unless Git holds something in it: that is kept in Git's form."""
        if self._git.holds_below(path):
            return None
        intake = partial(Storing, self._store, self._root, self._cache.folders.linked)
        want = Want(intake=intake, meter=self._meter, is_junk=is_junk, keep_junk=self._keep_junk, again=True)
        return Scanner(self._cache.folders, want).scan(path).entry

    def linked(self, path: str, text: bytes) -> Entry | None:
        """Take a link into the store for the file that it stands for."""
        return file_behind(self._cache.folders, path, text)

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
        found, stands = adopt(self._objects, os.path.join(self._root, path), self._store.links)
        if stands == found.signature:  # else it is a symlink now
            if stands.mtime_ns < began:  # the bytes are older; what changed since is its name in the store and its mode
                began = self._cache.begin(stands)
            self._cache.remember(path, found, began)
        return Entry(kind, found.digest, found.signature.size)

    def symlink(self, path: str, status: os.stat_result, text: bytes) -> Digest:
        """Store a link's text; one that leads outside the project could never be restored safely, and is refused."""
        refuse_outward(path, text)
        return self._objects.add_bytes(text)

    def folder(self, path: str, status: os.stat_result, data: bytes) -> Digest:
        """Store a tree object."""
        return self._objects.add_bytes(data)
