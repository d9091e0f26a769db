"""The worktree as a view: the disk, Git's index for what Git holds, and the stat cache for what is known."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from gitml.engine.links import follow, is_outside, leads_to
from gitml.engine.sinks import DigestSink, GitForm, is_junk
from gitml.engine.view import Seen
from gitml.engine.witness import Below, Witness, Witnessed, note
from gitml.git.index import HeldFiles
from gitml.git.submodule import files_of
from gitml.hashing.file import digest_bytes, signature_of
from gitml.hashing.pysource import ANALYSIS_VERSION, PySource, analyse
from gitml.hashing.scan import Scans
from gitml.hashing.statcache import StatCache
from gitml.hashing.state import StateDatabase
from gitml.hashing.tree import walk
from gitml.model.digest import Digest
from gitml.model.glob import compile_glob, compile_holder
from gitml.model.path import GLOB_CHARACTERS, is_glob, is_within
from gitml.model.tree import Entry, Kind
from gitml.store.objects import ObjectStore

_MEMO = f"pysource/{ANALYSIS_VERSION}"


class WorktreeView:
    """Files as they lie on disk below `root`.

    `objects` is given each tree object of a folder input, so that `why` can later name the file that changed. Without
    it nobody acts while the view is used, and what it has seen of a folder is not looked at again.
    """

    def __init__(
        self,
        root: str,
        *,
        held: HeldFiles,
        git: GitForm,
        cache: StatCache,
        database: StateDatabase,
        objects: ObjectStore | None = None,
    ) -> None:
        self.root = root
        self._held = held
        self._git = git
        self._cache = cache
        self._objects = objects
        self.scans = Scans() if objects is None else None
        self._sources = SourceMemo(database)
        self._adds: dict[str, bool] = {}
        self._inner: dict[str, frozenset[str]] = {}

    def seen(self, path: str, witness: Witness) -> Seen | None:
        """Digest an input; see `View.seen`. What lies in a clean submodule stands for the whole of it."""
        submodule = self._held.submodule_of(path)
        if submodule is not None and os.path.lexists(os.path.join(self.root, path)):
            commit = self._git.commit_of(submodule, witness)
            if commit is not None:
                return Seen(entry=Entry(Kind.DIRECTORY, commit, 0, 0))
        sink = self._sink(witness)
        entry = walk(self.root, path, sink)
        if entry is None:
            witness[path] = None
            return None
        if entry.kind is Kind.SYMLINK:
            return Seen(entry=entry, target=self._target(path, witness))
        outward = ((link, leads_to(self.root, link, text)) for link, text in sink.links.items())
        beyond = {link if is_outside(end) else end for link, end in outward if not is_within(end, path)}
        return Seen(entry=entry, links=tuple(sorted(beyond)))

    def expand(self, pattern: str, witness: Witness) -> Sequence[str]:
        """Name what a glob matches on disk; see `View.expand`."""
        matches, holds = compile_glob(pattern), compile_holder(pattern)
        deep = pattern.endswith("**")
        found: list[str] = []
        waiting = [_static_folder(pattern)]
        while waiting:
            folder = waiting.pop()
            for path, status in self._members(folder, witness):
                is_folder = stat.S_ISDIR(status.st_mode)
                if matches(path) and not (deep and is_folder):
                    found.append(path)
                elif is_folder and holds(path):
                    waiting.append(path)
        return sorted(found)

    def note_folders(self, pattern: str, witness: Witness) -> None:
        """Note all folders in which a new file could be code by `pattern`, or by lying below it: Git ignores none."""
        waiting = [_static_folder(pattern) if is_glob(pattern) else pattern]
        while waiting:
            below = [p for folder in waiting for p, s in self._members(folder, witness) if stat.S_ISDIR(s.st_mode)]
            ignored = self._held.ignored(below)
            waiting = [folder for folder in below if folder not in ignored]

    def is_file(self, path: str) -> bool:
        """Tell whether Git tracks, or would add, a file that is on disk."""
        full = os.path.join(self.root, path)
        submodule = self._held.submodule_of(path)
        if submodule is not None:
            return path in self._inside(submodule) and os.path.lexists(full)
        held = self._held.tracked.get(path)
        if held is not None:
            return os.path.lexists(full)
        if path not in self._adds:
            self._adds[path] = os.path.isfile(full) and not self._held.ignored([path])
        return self._adds[path]

    def is_dir(self, path: str) -> bool:
        """Tell whether a folder on disk holds something that Git tracks or would add."""
        if not os.path.isdir(os.path.join(self.root, path)):
            return False
        submodule = self._held.submodule_of(path)
        if submodule is not None:
            return any(is_within(name, path) for name in self._inside(submodule))
        return self._held.is_dir(path) or bool(self._held.would_add(path))

    def is_ignored(self, path: str) -> bool:
        """Tell whether something on disk is left out by Git."""
        if path in self._held.tracked or self._held.is_dir(path):
            return False
        submodule = self._held.submodule_of(path)
        if submodule is not None and any(is_within(name, path) for name in self._inside(submodule)):
            return False
        return os.path.lexists(os.path.join(self.root, path)) and bool(self._held.ignored([path]))

    def source(self, path: str) -> PySource:
        """Analyse a Python file, or remember what its bytes gave before."""
        path = follow(self.root, path).end or path
        converted = self._git.converted(path)
        digest = digest_bytes(converted) if converted is not None else self._cache.digest(path, held=True)[1]
        found = self._sources.get(digest, lambda: converted if converted is not None else self._read(path))
        submodule = self._held.submodule_of(path)
        commit = None if submodule is None else self._git.commit_of(submodule, {})
        return found if commit is None else replace(found, digest=commit)

    def glob(self, pattern: str) -> Sequence[str]:
        """Name files that Git tracks or would add; see `View.glob`."""
        if GLOB_CHARACTERS.isdisjoint(pattern):
            if self.is_file(pattern):
                return [pattern]
            names = set(self._code_below(pattern))
        else:
            matches = compile_glob(pattern)
            folder = _static_folder(pattern)
            names = {name for name in self._code_below(folder) if matches(name)}
        return sorted(name for name in names if self.is_file(name))

    def _code_below(self, folder: str) -> Iterator[str]:
        """Name the files below a folder that Git tracks or would add, also those of submodules."""
        around = self._held.submodule_of(folder)
        if around is None:
            yield from self._held.held_under(folder)
            yield from self._held.would_add(folder)
        for submodule in self._held.submodules:
            if submodule == around or is_within(submodule, folder):
                yield from (name for name in self._inside(submodule) if is_within(name, folder))

    def _inside(self, submodule: str) -> frozenset[str]:
        if submodule not in self._inner:
            names = files_of(os.path.join(self.root, submodule), self._held.git.environ)
            self._inner[submodule] = frozenset(f"{submodule}/{name}" for name in names)
        return self._inner[submodule]

    def code_digest(self, path: str, witness: Witness) -> Digest:
        """Digest a code file by its bytes in Git's form, following a symlink inside the project."""
        seen = self.seen(path, witness)
        if seen is None:
            raise FileNotFoundError(path)
        return (seen.target or seen.entry).digest

    def stat(self, path: str, witness: Witness) -> None:
        """Note how a path stands now; of a link, also what is on the way and at the end; of a submodule all."""
        submodule = self._held.submodule_of(path)
        if submodule is not None and submodule not in witness:
            self._git.commit_of(submodule, witness)
        try:
            found = signature_of(os.lstat(os.path.join(self.root, path)))
        except (FileNotFoundError, NotADirectoryError):
            note(witness, path, None)
            return
        note(witness, path, found)
        if stat.S_ISLNK(found.mode):
            way = follow(self.root, path)
            for step in (*way.links, *((way.end,) if way.end else ())):
                if step not in witness:
                    self.stat(step, witness)

    def changed(self, witness: Witnessed) -> list[str]:
        """Name the paths whose stat is no longer what a witness says, in its order."""
        changed = []
        for path, before in witness.items():
            if isinstance(before, Below):
                changed += self._cache.folders.changed(before.rows)
                continue
            try:
                now = signature_of(os.lstat(os.path.join(self.root, path)))
            except (FileNotFoundError, NotADirectoryError):
                now = None
            if now != before:
                changed.append(path)
        return changed

    def is_folder(self, path: str) -> bool:
        """Tell whether a folder, not a link to one, is on disk."""
        full = os.path.join(self.root, path)
        return os.path.isdir(full) and not os.path.islink(full)

    def save(self) -> None:
        """Write what was learnt about sources to the state database."""
        self._sources.save()

    def _target(self, path: str, witness: Witness) -> Entry | None:
        """Follow a link to its end. Outside the project it is raw data like any other, digested where it lies."""
        way = follow(self.root, path)
        self.stat(path, witness)
        if way.end is None:
            return None
        return walk(self.root, way.end, self._sink(witness))

    def _sink(self, witness: Witness) -> DigestSink:
        if self._objects is None:
            return DigestSink(git=self._git, cache=self._cache, witness=witness, scans=self.scans)
        tree, has_tree = self._objects.add_bytes, self._objects.has
        return DigestSink(git=self._git, cache=self._cache, witness=witness, tree=tree, has_tree=has_tree)

    def _members(self, folder: str, witness: Witness) -> list[tuple[str, os.stat_result]]:
        full = os.path.join(self.root, folder)
        try:
            note(witness, folder, signature_of(os.lstat(full)))
            with os.scandir(full) as members:
                found = [(m.name if folder == "." else f"{folder}/{m.name}", m) for m in members]
        except (FileNotFoundError, NotADirectoryError):
            note(witness, folder, None)
            return []
        own = (".git", ".gitml")
        return [(p, m.stat(follow_symlinks=False)) for p, m in found if not is_junk(p) and m.name not in own]

    def _read(self, path: str) -> bytes:
        with open(os.path.join(self.root, path), "rb") as file:
            return file.read()


class SourceMemo:
    """Analyses of Python files by the digest of their bytes, kept in the state database."""

    def __init__(self, database: StateDatabase) -> None:
        self._database = database
        self._stored: dict[bytes, bytes] | None = None
        self._new: dict[bytes, bytes] = {}
        self._open: dict[Digest, PySource] = {}

    def get(self, digest: Digest, read: Callable[[], bytes]) -> PySource:
        """Give the analysis of the bytes that `digest` names; `read` is called only where it is new."""
        found = self._open.get(digest)
        if found is None:
            found = self._open[digest] = self._recall(digest) or self._analyse(digest, read())
        return found

    def save(self) -> None:
        """Write what is new."""
        if self._new:
            new, self._new = self._new, {}
            self._database.store_memos(_MEMO, new)

    def _recall(self, digest: Digest) -> PySource | None:
        if self._stored is None:
            self._stored = self._database.memos(_MEMO)
        data = self._stored.get(digest.raw)
        return PySource.from_json(json.loads(data)) if data is not None else None

    def _analyse(self, digest: Digest, data: bytes) -> PySource:
        found = analyse(data)
        if digest_bytes(data) == digest:  # else it was edited between the two reads: good for now, not for later
            self._new[digest.raw] = json.dumps(found.to_json()).encode()
        return found


def _static_folder(pattern: str) -> str:
    parts = pattern.split("/")
    fixed = 0
    while fixed < len(parts) - 1 and GLOB_CHARACTERS.isdisjoint(parts[fixed]):
        fixed += 1
    return "/".join(parts[:fixed]) or "."
