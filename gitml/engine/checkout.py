"""Make what stands at a path what is recorded: only what differs is touched, and no byte is lost.

A file is replaced like this: the new one is made whole under a temporary name beside it; the old one gets a second name
(`.gitml-old-…`); the new one is renamed over the first; then the old one is looked at again, and dropped only if it is
the file whose bytes were found in the store. So the path has the old or the new content at every instant, and an edit
of the last moment is kept. Before anything is touched, all that would be replaced is looked for in the store, and all
that would be written.

Crash story: what is being brought is written down (`$GIT_DIR/gitml/checkout/<digest of the path>`), so that the next
one sweeps the temporary names that a kill has left: `.gitml-new-…` is dropped, `.gitml-old-…` only if the store has it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from gitml.engine.differing import Difference, Stands, Wants, differences, mtime_and_inode, standing
from gitml.engine.sinks import is_junk
from gitml.errors import GitmlError
from gitml.hashing.file import ChangedWhileReadError, digest_bytes, digest_file
from gitml.hashing.folderrow import FolderRow, pack_stat
from gitml.hashing.folders import FolderCache
from gitml.hashing.intake import Digesting
from gitml.hashing.meter import SILENT
from gitml.hashing.scan import Scan, Scanner, Want
from gitml.hashing.written import remember_written
from gitml.model.digest import Digest
from gitml.model.tree import Entry, Kind
from gitml.store.atomic import write_atomically
from gitml.store.beneath import parent_of, remove
from gitml.store.build import Building, plan
from gitml.store.checkout import NEW, materialise, write_file
from gitml.store.packer import SMALL

OLD = ".gitml-old-"
_LEFT = re.compile(r"\.gitml-(?:new|old)-[0-9a-f]{16}\Z")
_KINDS = {b"f": Kind.FILE, b"x": Kind.EXECUTABLE, b"l": Kind.SYMLINK}
_BYTES = {kind: byte for byte, kind in _KINDS.items()}
_SHOWN = 5


class UnsavedError(GitmlError):
    """Files would be replaced whose bytes the store does not hold; `paths` names them all."""

    def __init__(self, path: str, paths: Sequence[str]) -> None:
        shown = ", ".join(paths[:_SHOWN]) + (f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else "")
        super().__init__(
            f"{shown} would be lost: the cache does not have what stands there",
            hint=f"gitml add {path} records it, where it is a source; `--force` puts it aside first",
        )
        self.paths = tuple(paths)


class LackingError(GitmlError):
    """Objects that are to be written are not in the store; `lacking` has each path with its digest."""

    def __init__(self, path: str, lacking: Sequence[tuple[str, Digest]], remedy: str) -> None:
        shown = ", ".join(f"{where} ({digest.short})" for where, digest in lacking[:_SHOWN])
        more = f" and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
        super().__init__(f"{path} cannot be brought: the cache lacks {shown}{more}", hint=remedy)
        self.lacking = tuple(lacking)


class Kept(NamedTuple):
    """A file that only stood in the worktree; it now lies at `kept` (a full path)."""

    path: str
    kept: str


class Brought(NamedTuple):
    """What was done at one path: files written and removed, and what was put aside."""

    written: int = 0
    removed: int = 0
    kept: tuple[Kept, ...] = ()


class Bringing(NamedTuple):
    """How to bring: `entry(path)` says what stands there; `aside(path)` names a free place (a full path) to put it.

    `with_junk`: tools' droppings are part of what is recorded (outputs), else they are left alone (sources).
    """

    folders: FolderCache
    building: Building
    machine: str
    entry: Callable[[str], Entry | None]
    aside: Callable[[str], str]
    force: bool
    with_junk: bool


class Checkout:
    """Brings recorded entries to paths below the root of `bringing.folders`; the caller holds the path's claim."""

    def __init__(self, bringing: Bringing, *, remedy: str) -> None:
        self._how = bringing
        self._root = bringing.folders.root
        self._objects = bringing.building.objects
        self._remedy = remedy
        self._kept: list[Kept] = []
        self._written = 0
        self._removed = 0

    def bring(self, path: str, entry: Entry) -> Brought:
        """Make `path` what `entry` says.

        Raises:
            UnsavedError: Bytes that the store does not hold would be replaced; nothing was touched.
            LackingError: The store does not have all of it; nothing was touched.
            DamagedError: An object is damaged; what stands at each path is the old file or the new one, whole.
        """
        with self._noted(path):
            found = self._status(path)
            if found is None:
                self._refuse_lacking(path, self._lacking(path, entry))
                self._new(path, entry)
            elif stat.S_ISDIR(found.st_mode) and entry.kind is Kind.DIRECTORY:
                self._folder(path, entry)
            elif stat.S_ISDIR(found.st_mode) or entry.kind is Kind.DIRECTORY:
                self._another_kind(path, entry)
            else:
                self._file(path, entry)
        return Brought(self._written, self._removed, tuple(self._kept))

    def relink(self, path: str, entry: Entry) -> Brought:
        """Write long files of what stands at `path`, and is what `entry` says, by the preferred kind of link again."""
        with self._noted(path):
            if entry.kind is Kind.FILE and entry.size > SMALL:
                self._again(path, Wants(os.fsencode(path.rpartition("/")[2]), b"f", entry.size, entry.digest.raw))
            elif entry.kind is Kind.DIRECTORY:
                for folder, row in self._scan(path).rows.items():
                    for one in standing(self._how.folders, folder, row):
                        full = f"{folder}/{os.fsdecode(one.name)}"
                        size = os.stat(os.path.join(self._root, full)).st_size
                        if one.kind == b"f" and size > SMALL:
                            self._again(full, Wants(one.name, one.kind, size, one.digest))
        return Brought(self._written, self._removed, tuple(self._kept))

    def _again(self, path: str, wants: Wants) -> None:
        with parent_of(self._root, path) as (folder, name):
            now = pack_stat(os.stat(name, dir_fd=folder, follow_symlinks=False))
            stands = Stands(wants.name, wants.kind, wants.digest, now)
            self._replace(folder, path, wants, stands)

    def _new(self, path: str, entry: Entry) -> None:
        written = materialise(self._how.building, entry, self._root, path)
        if written:
            remember_written(self._how.folders, written, is_junk=is_junk)
        self._written += sum(len(folder.names) for folder in written) if entry.kind is Kind.DIRECTORY else 1

    def _file(self, path: str, entry: Entry) -> None:
        with parent_of(self._root, path) as (folder, name):
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            found = self._standing(path)
            if (found.kind, found.digest) != (entry.kind, entry.digest):
                self._refuse_lacking(path, self._lacking(path, entry))
                self._refuse_unsaved(path, [] if self._objects.has(found.digest) else [path])
                wants = Wants(os.fsencode(name), _BYTES[entry.kind], entry.size, entry.digest.raw)
                stands = Stands(wants.name, _BYTES[found.kind], found.digest.raw, pack_stat(status))
                self._replace(folder, path, wants, stands)

    def _standing(self, path: str) -> Entry:
        found = self._how.entry(path)
        if found is None:
            raise ChangedWhileReadError(path)
        return found

    def _another_kind(self, path: str, entry: Entry) -> None:
        """Replace a folder by a file, or a file by a folder: what stands there is moved away as a whole."""
        self._refuse_lacking(path, self._lacking(path, entry))
        found = self._status(path)
        assert found is not None
        if stat.S_ISDIR(found.st_mode):
            scan = self._scan(path)
            unsaved = [where for folder, row in scan.rows.items() for where in self._unsaved_in(folder, row)]
            self._refuse_unsaved(path, unsaved)
            self._drop_folder(path, scan.rows)
        else:
            digest = self._standing(path).digest
            self._refuse_unsaved(path, [] if self._objects.has(digest) else [path])
            with parent_of(self._root, path) as (folder, name):
                self._delete(folder, path, Stands(os.fsencode(name), b"f", digest.raw, pack_stat(found)))
        self._new(path, entry)

    def _folder(self, path: str, entry: Entry) -> None:
        rows = self._scan(path).rows
        found = partial(differences, self._how.folders, self._objects, rows, path, entry.digest)
        lacking: list[tuple[str, Digest]] = []
        unsaved: list[str] = []
        for difference in found():
            lacking += self._lacking_in(difference)
            unsaved += self._unsaved(difference, rows)
        self._refuse_lacking(path, lacking)
        self._refuse_unsaved(path, unsaved)
        for difference in found():
            self._apply(difference, rows)
        if self._scan(path).entry.digest != entry.digest:
            raise GitmlError(f"{path} was changed while it was being brought", hint="wait for its writer and try again")

    def _apply(self, difference: Difference, rows: Mapping[str, FolderRow]) -> None:
        with parent_of(self._root, f"{difference.path}/x") as (folder, _):
            for one in difference.delete:
                self._delete(folder, difference.below(one.name), one)
            for name in difference.drop:
                self._drop_folder(difference.below(name), rows)
            for wants, stands in difference.write:
                self._replace(folder, difference.below(wants.name), wants, stands)
        for name, raw in difference.build:
            self._new(difference.below(name), Entry(Kind.DIRECTORY, Digest.from_raw(raw), 0))

    def _replace(self, folder: int, path: str, wants: Wants, stands: Stands | None) -> None:
        """Put a file in the place of another, or of none."""
        mark = digest_bytes(wants.name).hex[:16]
        new, old = NEW + mark, OLD + mark
        remove(folder, new)
        entry = Entry(_KINDS[wants.kind], Digest.from_raw(wants.digest), wants.size)
        write_file(self._how.building, entry, folder, os.fsencode(new), path)
        try:
            if stands is not None:
                self._settle_left(folder, old, path)
                _second_name(folder, wants.name, old)
            self._take_place(folder, new, wants.name, path, free=stands is None)
        except BaseException:
            remove(folder, new)
            raise
        if stands is not None:
            self._settle(folder, old, path, stands)
        self._written += 1
        self._how.building.meter.advance(1, wants.size)

    def _take_place(self, folder: int, new: str, name: bytes, path: str, *, free: bool) -> None:
        """Give a new file its name; where nothing stood there, nothing may have come meanwhile."""
        if free and _exists(folder, name):
            raise GitmlError(f"{path} appeared meanwhile", hint="try again")
        os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
        remove(folder, new)  # where both are names of one object already, a rename does nothing (rename(2))

    def _delete(self, folder: int, path: str, stands: Stands) -> None:
        old = OLD + digest_bytes(stands.name).hex[:16]
        self._settle_left(folder, old, path)
        with contextlib.suppress(FileNotFoundError):
            os.rename(stands.name, old, src_dir_fd=folder, dst_dir_fd=folder)
            self._settle(folder, old, path, stands)
            self._removed += 1

    def _settle(self, folder: int, old: str, path: str, stands: Stands) -> None:
        """Drop an old file if it is the one that was looked at and the store has its bytes, else put it aside."""
        try:
            now = pack_stat(os.stat(old, dir_fd=folder, follow_symlinks=False))
        except FileNotFoundError:  # somebody else has deleted it
            return
        same = mtime_and_inode(now) == mtime_and_inode(stands.stat)
        if same and self._objects.has(Digest.from_raw(stands.digest)):
            os.unlink(old, dir_fd=folder)
        else:
            self._settle_left(folder, old, path)

    def _settle_left(self, folder: int, old: str, path: str) -> None:
        """Drop an old file of unknown content if the store has its bytes, else put it aside."""
        try:
            status = os.stat(old, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return
        full = os.path.join(self._root, os.path.dirname(path), old)
        if self._objects.has(_digest_of(full, status)):
            os.unlink(old, dir_fd=folder)
        else:
            self._put_aside(folder, old, path, full)

    def _put_aside(self, folder: int, name: str, path: str, full: str) -> None:
        target = self._how.aside(path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        try:
            os.rename(name, target, src_dir_fd=folder)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            shutil.move(full, target)
        self._kept.append(Kept(path, target))

    def _drop_folder(self, path: str, rows: Mapping[str, FolderRow]) -> None:
        """Delete what a scan saw of a folder; what is left in it (droppings, what came since) stays."""
        row = rows[path]
        with parent_of(self._root, f"{path}/x") as (folder, _):
            for one in standing(self._how.folders, path, row):
                self._delete(folder, f"{path}/{os.fsdecode(one.name)}", one)
        for member in row.folders:
            self._drop_folder(f"{path}/{os.fsdecode(member.name)}", rows)
        with parent_of(self._root, path) as (parent, name):
            try:
                os.rmdir(name, dir_fd=parent)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                if not self._how.with_junk:
                    self._drop_junk(parent, name, path)

    def _drop_junk(self, parent: int, name: str, path: str) -> None:
        """Delete a folder of which only droppings are left; a Git repository may be all that somebody committed."""
        full = os.path.join(self._root, path)
        left = os.listdir(full)
        if ".git" in left:
            self._put_aside(parent, name, path, full)
        elif all(is_junk(one) for one in left):
            remove(parent, name)

    # what is missing, and what would be lost

    def _lacking(self, path: str, entry: Entry) -> list[tuple[str, Digest]]:
        if entry.kind is not Kind.DIRECTORY:
            return [] if self._objects.has(entry.digest, entry.size) else [(path, entry.digest)]
        if not self._objects.has(entry.digest):
            return [(path, entry.digest)]
        found: list[tuple[str, Digest]] = []
        for folder in plan(self._objects, entry.digest):
            raws = [folder.raw(n) for n in range(len(folder.names))]
            held = self._objects.sizes(raws)
            for name, raw, size in zip(folder.names, raws, folder.sizes, strict=True):
                if held.get(raw) != size:
                    found.append((f"{path}/{folder.below(name)}", Digest.from_raw(raw)))
        return found

    def _lacking_in(self, difference: Difference) -> Iterator[tuple[str, Digest]]:
        held = self._objects.sizes([wants.digest for wants, _ in difference.write])
        for wants, _ in difference.write:
            if held.get(wants.digest) != wants.size:
                yield difference.below(wants.name), Digest.from_raw(wants.digest)
        for name, raw in difference.build:
            yield from self._lacking(difference.below(name), Entry(Kind.DIRECTORY, Digest.from_raw(raw), 0))

    def _unsaved(self, difference: Difference, rows: Mapping[str, FolderRow]) -> Iterator[str]:
        going = [stands for _, stands in difference.write if stands is not None] + list(difference.delete)
        held = self._objects.sizes([stands.digest for stands in going])
        yield from (difference.below(stands.name) for stands in going if stands.digest not in held)
        for name in difference.drop:
            path = difference.below(name)
            inside = [folder for folder in rows if folder == path or folder.startswith(path + "/")]
            for folder in inside:
                yield from self._unsaved_in(folder, rows[folder])

    def _unsaved_in(self, path: str, row: FolderRow) -> Iterator[str]:
        every = list(standing(self._how.folders, path, row))
        held = self._objects.sizes([one.digest for one in every])
        yield from (f"{path}/{os.fsdecode(one.name)}" for one in every if one.digest not in held)

    def _refuse_lacking(self, path: str, lacking: Sequence[tuple[str, Digest]]) -> None:
        if lacking:
            raise LackingError(path, lacking, self._remedy)

    def _refuse_unsaved(self, path: str, unsaved: Sequence[str]) -> None:
        if unsaved and not self._how.force:
            raise UnsavedError(path, unsaved)

    # looking, remembering, recovering

    def _scan(self, path: str) -> Scan:
        intake = partial(Digesting, self._how.folders.linked)
        want = Want(intake=intake, meter=SILENT, is_junk=is_junk, keep_junk=self._how.with_junk)
        return Scanner(self._how.folders, want).scan(path)

    def _status(self, path: str) -> os.stat_result | None:
        with contextlib.suppress(FileNotFoundError), parent_of(self._root, path) as (folder, name):
            return os.stat(name, dir_fd=folder, follow_symlinks=False)
        return None

    @contextlib.contextmanager
    def _noted(self, path: str) -> Iterator[None]:
        """Write down that `path` is being brought; sweep first what a process that died has left of that."""
        note = os.path.join(self._how.machine, "checkout", digest_bytes(os.fsencode(path)).hex[:40])
        if os.path.exists(note):
            self._sweep(path)
        write_atomically(note, os.fsencode(path), tmp=os.path.join(self._how.machine, "tmp"))
        yield
        os.unlink(note)

    def _sweep(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError), parent_of(self._root, path) as (folder, _):
            self._sweep_folder(folder, os.path.dirname(path), deep=False)
        status = self._status(path)
        if status is not None and stat.S_ISDIR(status.st_mode):
            with parent_of(self._root, f"{path}/x") as (folder, _):
                self._sweep_folder(folder, path, deep=True)

    def _sweep_folder(self, folder: int, path: str, *, deep: bool) -> None:
        for name in os.listdir(folder):
            where = f"{path}/{name}" if path else name
            if _LEFT.match(name):
                if name.startswith(NEW):
                    remove(folder, name)
                else:
                    self._settle_left(folder, name, where)
            elif deep and stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                with parent_of(self._root, f"{where}/x") as (below, _):
                    self._sweep_folder(below, where, deep=True)


def _digest_of(full: str, status: os.stat_result) -> Digest:
    if stat.S_ISLNK(status.st_mode):
        return digest_bytes(os.readlink(os.fsencode(full)))
    return digest_file(full).digest


def _exists(folder: int, name: bytes) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _second_name(folder: int, name: bytes, old: str) -> None:
    """Give a file a second name; where that cannot be (FAT, some network file systems), its only one is changed."""
    try:
        os.link(name, old, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        os.rename(name, old, src_dir_fd=folder, dst_dir_fd=folder)
