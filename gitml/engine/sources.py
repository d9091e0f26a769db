"""Pointers of sources in the worktree, and what stands at their paths.

Crash story: whoever changes pointers holds `alone`, an flock that falls with the process. The order is blobs, trees,
`info/exclude`, pointer: a kill leaves the old pointer or the new one, and data that a pointer names is never one
`git add -A` from being committed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import NamedTuple

from gitml.engine.committed import CommittedFiles
from gitml.engine.view import View
from gitml.engine.witness import Witness
from gitml.manifest.pointerfile import (
    FOLDER,
    MAX_BYTES,
    ConflictedPointerError,
    PointerFileError,
    decode_pointer,
    encode_pointer,
    pointer_path,
)
from gitml.model.path import is_within, parents
from gitml.model.source import Pointer
from gitml.model.tree import Entry
from gitml.store.atomic import write_atomically
from gitml.store.beneath import parent_of
from gitml.store.claims import NoLocksError


class SourceState(str, Enum):
    """How what stands at a source's path compares with its pointer. The values are those of reports."""

    CLEAN = "clean"
    CHANGED = "changed"
    MISSING = "missing"


def compare(pointer: Pointer, view: View, witness: Witness) -> tuple[SourceState, Entry | None]:
    """Compare a source with its pointer; gives what stands there as well."""
    seen = view.seen(pointer.path, witness)
    if seen is None:
        return SourceState.MISSING, None
    same = (seen.entry.kind, seen.entry.digest) == (pointer.entry.kind, pointer.entry.digest)
    return SourceState.CLEAN if same else SourceState.CHANGED, seen.entry


class Known(NamedTuple):
    """The sources of a project at one moment.

    `pointers`: by path, sorted. `conflicted`: by pointer file, the error of each that a merge left undecided.
    `looked_at`: the folders and files that were read, relative to the project.
    """

    pointers: Mapping[str, Pointer]
    conflicted: Mapping[str, ConflictedPointerError]
    looked_at: tuple[str, ...]

    def owner(self, path: str) -> str | None:
        """Name the source that a path is, or lies in; a conflicted one counts."""
        ways = (path, *parents(path))
        return next((one for one in ways if one in self.pointers or pointer_path(one) in self.conflicted), None)

    def refuse_conflicts(self, resolved: Iterable[str] = ()) -> None:
        """Raise the error of the first conflicted pointer that is not the one of a path in `resolved`.

        What such a pointer is about cannot be told, so nothing may be done that would forget it.
        """
        files = {pointer_path(path) for path in resolved}
        for file, error in self.conflicted.items():
            if file not in files:
                raise error

    def only(self, pointers: Iterable[Pointer]) -> Known:
        """Leave out all sources but these."""
        return self._replace(pointers={pointer.path: pointer for pointer in pointers})

    def below(self, folder: str) -> list[str]:
        """Name the sources inside a folder, itself left out."""
        return [path for path in self.pointers if path != folder and is_within(path, folder)]


class Sources:
    """The pointers of the project at `root`; `machine` is `$GIT_DIR/gitml`."""

    def __init__(self, root: str, machine: str) -> None:
        self._root = root
        self._machine = machine
        self._journal = os.path.join(machine, "moving.json")
        tmp = os.path.join(machine, "tmp")
        self._files = CommittedFiles(root, tmp, noun="pointer", largest=MAX_BYTES, refusal=PointerFileError)

    def known(self) -> Known:
        """Read all pointers.

        Raises:
            PointerFileError: One is damaged, of a newer format, or lies behind a symlink. Conflicted ones are listed.
        """
        pointers: dict[str, Pointer] = {}
        conflicted: dict[str, ConflictedPointerError] = {}
        looked_at: list[str] = [*reversed(parents(FOLDER)), FOLDER]
        for file in self._walk(looked_at):
            try:
                found = self._read(file)
            except ConflictedPointerError as error:
                conflicted[file] = error
                continue
            if found is not None:
                pointers[found.path] = found
        return Known(dict(sorted(pointers.items())), conflicted, tuple(looked_at))

    def all(self) -> dict[str, Pointer]:
        """Read all pointers, by path; raises as `known`, and also for a conflicted one."""
        known = self.known()
        known.refuse_conflicts()
        return dict(known.pointers)

    def read(self, path: str) -> Pointer | None:
        """Read one source's pointer; None when it has none; raises as `all`."""
        return self._read(pointer_path(path))

    def write(self, pointer: Pointer) -> None:
        """Replace a source's pointer whole, without following a link."""
        self._files.write(pointer_path(pointer.path), encode_pointer(pointer))

    def remove(self, path: str) -> None:
        """Delete a source's pointer, and the folders that held nothing else; none there is no error."""
        file = pointer_path(path)
        with contextlib.suppress(FileNotFoundError):
            self._files.remove(file)
        for folder in parents(file):
            if folder == FOLDER or not self._removed(folder):
                break

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from changing pointers and what is ignored; held for moments only, never nested.

        Raises:
            NoLocksError: The file system has no flock.
        """
        os.makedirs(self._machine, exist_ok=True)
        with open(os.path.join(self._machine, "sources.lock"), "ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError as error:
                raise NoLocksError(self._machine) from error
            self._settle()
            yield

    def settle(self) -> None:
        """Finish or undo a move whose process died, if there is one."""
        if os.path.exists(self._journal):
            with self.alone():
                pass

    def move(self, old: Pointer, new: str) -> None:
        """Rename a source's data and its pointer; `alone` is held and Git ignores both paths.

        At each instant a pointer names what stands at either path. What is on the way is written down, so that the
        next holder of `alone` finishes it or undoes it.

        Raises:
            FileExistsError: Something stands at the new path.
            OSError: It cannot be renamed (also where it is another file system); all is as it was.
        """
        made = [folder for folder in parents(new) if not os.path.lexists(os.path.join(self._root, folder))]
        note = json.dumps([old.path, new]).encode()
        write_atomically(self._journal, note, tmp=os.path.join(self._machine, "tmp"), sync=True)
        try:
            self.write(dataclasses.replace(old, path=new))
            with parent_of(self._root, old.path) as (from_, was), parent_of(self._root, new, create=True) as (to, name):
                _rename_new(from_, was, to, name)
        except BaseException:
            self.remove(new)
            for folder in made:
                self._removed(folder)
            os.unlink(self._journal)
            raise
        self._settle()

    def _settle(self) -> None:
        """Let the pointers follow the data of the move that was written down last."""
        try:
            with open(self._journal, "rb") as file:
                old, new = json.loads(file.read())
        except FileNotFoundError:
            return
        is_old, is_new = (os.path.lexists(os.path.join(self._root, path)) for path in (old, new))
        if is_new and not is_old:
            self.remove(old)
        elif not is_new:
            self.remove(new)
        os.unlink(self._journal)

    def _removed(self, folder: str) -> bool:
        """Remove a folder if it is empty."""
        try:
            os.rmdir(os.path.join(self._root, folder))
        except OSError:  # not empty, or gone already
            return False
        return True

    def _read(self, file: str) -> Pointer | None:
        data = self._files.read(file)
        return None if data is None else decode_pointer(file, data)

    def _walk(self, looked_at: list[str]) -> Iterator[str]:
        """Name the pointer files, noting folders and files that were met."""
        waiting = [FOLDER]
        while waiting:
            folder = waiting.pop()
            self._files.refuse_links(folder)
            try:
                with os.scandir(os.path.join(self._root, folder)) as members:
                    found = [(f"{folder}/{member.name}", member.stat(follow_symlinks=False)) for member in members]
            except FileNotFoundError:
                continue
            except NotADirectoryError:
                raise PointerFileError(folder, "not a folder", "remove it") from None
            for path, status in found:
                if stat.S_ISDIR(status.st_mode):
                    looked_at.append(path)
                    waiting.append(path)
                elif path.endswith(".json"):
                    looked_at.append(path)
                    yield path


def _rename_new(from_: int, was: str, to: int, name: str) -> None:
    """Rename without replacing anything; between the look and the rename only somebody without gitml could come."""
    with contextlib.suppress(FileNotFoundError):
        os.stat(name, dir_fd=to, follow_symlinks=False)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
    os.rename(was, name, src_dir_fd=from_, dst_dir_fd=to)
