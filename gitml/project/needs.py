"""Who needs an object: the outputs and sources that refs, worktrees and runs name, down to the path inside a folder."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from gitml.errors import GitmlError
from gitml.git.command import Git
from gitml.git.roots import refs
from gitml.git.snapshot import REFS as SNAPSHOTS
from gitml.manifest.lockfile import FOLDER as LOCKS
from gitml.manifest.lockfile import decode_lock
from gitml.manifest.pointerfile import FOLDER as POINTERS
from gitml.manifest.pointerfile import decode_pointer
from gitml.model.run import Run
from gitml.model.source import Pointer
from gitml.model.tree import Entry, Kind
from gitml.project.project import Project
from gitml.project.roots import RepositoryRoots, Root, repositories
from gitml.store.lack import UNKNOWN, Lack

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_BATCH = 500
_QUESTIONS = 100_000
_LARGEST = 16 << 20


class Blob(NamedTuple):
    """A file in Git: `path` is relative to the worktree."""

    git: Git
    oid: str
    path: str


class Holder(NamedTuple):
    """A lock, pointer or run that names data.

    `where`: a ref, `HEAD of …`, `index of …`, a worktree or `run …`. `owner`: the step, or None of a source. `entries`:
    by path relative to the project. `folder`: of the project in its worktree, "" for the top. `base`: where the project
    stands on disk, if this was read from there. `pointer`: that of a source. `blob`: what it is in Git, if it is there.
    """

    where: str
    owner: str | None
    entries: Mapping[str, Entry]
    folder: str = ""
    base: str | None = None
    pointer: Pointer | None = None
    is_run: bool = False
    blob: Blob | None = None


class Need(NamedTuple):
    """An object that somebody needs and that cannot be had. `output`: the declared path that it is, or lies in."""

    holder: Holder
    output: str
    lack: Lack

    @property
    def path(self) -> str:
        """Where its bytes belong, relative to the project."""
        return f"{self.output}/{self.lack.path}" if self.lack.path else self.output

    @property
    def remedy(self) -> str:
        """Say which command makes it again."""
        pointer = self.holder.pointer
        if pointer is None:
            return f"gitml repro {self.holder.owner}"
        if pointer.url is not None:
            return f"gitml update {pointer.path}"
        return f"copy it from where it was added, then gitml add {pointer.path}"


def holders(project: Project) -> Iterator[Holder]:
    """Give all locks and pointers, those on disk first, then those in Git, then the runs that the cache records.

    What cannot be read as a lock or a pointer holds nothing that has a path, and is left out.

    Raises:
        GitmlError: A repository or a ref cannot be read.
    """
    for git in repositories(project):
        with RepositoryRoots(git) as found:
            every = [root for root in found.all(lambda oid: True) if _kind(root) is not None]
        for root in every:
            if root.oid is None:
                yield from _held(root, _file(os.path.join(root.where, root.path)))
        yield from _in_git(git, [root for root in every if root.oid is not None])
    for run in project.store.runs.all():
        yield _of_run(run)


def needs(holder: Holder, lacks: Callable[[Entry], Iterable[Lack]]) -> Iterator[Need]:
    """Give what is lacking of all that a holder names."""
    for path, entry in holder.entries.items():
        for lack in lacks(entry):
            yield Need(holder, path, lack)


def everywhere(found: Iterable[Need]) -> list[Need]:
    """Say of what was found in Git once (in an index, at a snapshot) which refs have it as well, those in its place."""
    found = list(found)
    blobs = dict.fromkeys(need.holder.blob for need in found if need.holder.blob is not None)
    refs_of = _refs_of(list(blobs))
    spread: list[Need] = []
    for need in found:
        names = refs_of.get(need.holder.blob, []) if need.holder.blob is not None else []
        if need.holder.where not in names and not (names and need.holder.where.startswith(SNAPSHOTS)):
            names = [need.holder.where, *names]
        spread.extend(need._replace(holder=need.holder._replace(where=name)) for name in names)
    return spread


def _refs_of(blobs: Sequence[Blob]) -> dict[Blob, list[str]]:
    """Name the branches and tags that have these files; of very many files, of the first ones."""
    found: dict[Blob, list[str]] = {}
    for git in {id(blob.git): blob.git for blob in blobs}.values():
        tips = [tip for tip in refs(git) if not tip.where.startswith(SNAPSHOTS)]
        here = [blob for blob in blobs if blob.git is git and "\n" not in blob.path][: _QUESTIONS // (len(tips) + 1)]
        asked = [(tip, blob) for blob in here for tip in tips]
        lines = "".join(f"{tip.oid}:{blob.path}\n" for tip, blob in asked)
        answers = git.run("cat-file", "--batch-check=%(objectname)", input=os.fsencode(lines)).split(b"\n")
        for (tip, blob), answer in zip(asked, answers, strict=False):
            if answer.decode(errors="replace") == blob.oid:
                found.setdefault(blob, []).append(tip.where)
    return found


def _in_git(git: Git, roots: Sequence[Root]) -> Iterator[Holder]:
    for start in range(0, len(roots), _BATCH):
        batch = roots[start : start + _BATCH]
        out = git.run("cat-file", "--batch", input="".join(f"{root.oid}\n" for root in batch).encode())
        at = 0
        for root in batch:
            end = out.index(b"\n", at)
            words = out[at:end].split()
            size = int(words[2]) if len(words) == 3 else -1  # gone since it was listed: a line without bytes
            if size >= 0:
                blob = Blob(git, root.oid or "", root.path)
                yield from (held._replace(blob=blob) for held in _held(root, out[end + 1 : end + 1 + size]))
            at = end + size + 2


def _held(root: Root, data: bytes | None) -> Iterator[Holder]:
    """Read a lock or pointer; none of what is no such thing."""
    folder = root.path[: root.path.index(".gitml/")].rstrip("/")
    file = root.path[len(folder) :].lstrip("/")
    base = None if root.oid is not None else os.path.join(root.where, folder) if folder else root.where
    if data is not None:
        with contextlib.suppress(GitmlError):
            if _kind(root) == LOCKS:
                entries = decode_lock(file, data).outputs
                yield Holder(root.where, _step(file), entries, folder, base)
            else:
                pointer = decode_pointer(file, data)
                yield Holder(root.where, None, {pointer.path: pointer.entry}, folder, base, pointer)


def _of_run(run: Run) -> Holder:
    entries = dict(run.outputs)
    if run.log is not None:
        entries["its log"] = Entry(Kind.FILE, run.log, UNKNOWN)
    return Holder(f"run {run.id}", run.step, entries, is_run=True)


def _kind(root: Root) -> str | None:
    """Tell locks from pointers, and both from what else names digests."""
    return next((kind for kind in (LOCKS, POINTERS) if f"/{kind}/" in f"/{root.path}"), None)


def _step(file: str) -> str:
    """Name a step by its lock's path; of one whose name was shortened there, its beginning."""
    names = [unquote(part.partition("~")[0]) for part in file[len(LOCKS) + 1 : -len(".json")].split("/")]
    return "@".join(names)


def _file(path: str) -> bytes | None:
    """Read a file as `gitml.project.roots` did; None when it is gone."""
    try:
        descriptor = os.open(path, _READ)
    except OSError:
        return None
    with open(descriptor, "rb") as file:
        return file.read(_LARGEST + 1) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
