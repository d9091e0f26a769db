"""What needs the data of a cache: every lock and pointer of every repository that uses it, and unfinished executions.

Digests are taken by their form from the raw bytes of a file rather than by reading it as a lock: that holds for formats
of later versions, for locks in conflict and for damaged ones, and it keeps the trees of inputs, which let `why` name
files.

Git moves files between worktree, index, stash and branches while they are looked at here. So refs and indexes are read
before and after the files on disk: whatever something moves from and to, one of the looks meets it. A project is any
folder with a `.gitml`; one is looked for on disk where it is at the top of the worktree, where any ref or the index has
one, and wherever gitml has run.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import NamedTuple

from gitml.git.command import Git
from gitml.git.roots import (
    OF_ONE_WORKTREE,
    Committed,
    CommittedReader,
    Tip,
    UnreadableRootError,
    Worktree,
    bind,
    in_index,
    refs,
    stashes,
    unfinished,
    worktrees,
)
from gitml.git.snapshot import REFS as SNAPSHOTS
from gitml.model.mention import Mentions, mentioned
from gitml.project.linkroots import links_in_worktree
from gitml.project.project import Project
from gitml.store.registry import registered

_FOLDERS = ("lock", "sources")
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CHUNK = 1 << 20
_LONGEST_EXECUTION_S = 30 * 86400.0


class Root(NamedTuple):
    """A file that names digests: `where` it is (a ref, a worktree's HEAD, index or folder) and its path in there.

    The same file in several places is given for one of them. `oid`: its blob in Git; None for a file on disk.
    """

    where: str
    path: str
    mentions: Mentions
    oid: str | None = None

    @property
    def digests(self) -> frozenset[str]:
        """All digests that the file names, whatever for."""
        return self.mentions.digests


def roots(project: Project) -> Iterator[Root]:
    """Give all that names data in the project's cache, the snapshots of all runs included.

    Raises:
        GitmlError: Anything of it cannot be read.
    """
    for git in repositories(project):
        with RepositoryRoots(git) as found:
            yield from found.all(lambda oid: True)


def repositories(project: Project) -> list[Git]:
    """Bind Git to every repository that uses the project's cache, its own first.

    Raises:
        UnreadableRootError: One is gone, or not to be trusted.
    """
    own = project.repository.git(project.environ)
    found = [own]
    for common_dir in registered(project.store.objects.root):
        if common_dir != own.common_dir:
            try:
                found.append(bind(common_dir, project.environ))
            except UnreadableRootError as error:
                hint = f"if it no longer uses this cache: gitml gc --forget {common_dir}"
                raise UnreadableRootError(error.message, hint=hint) from error
    return found


class RepositoryRoots:
    """The locks and pointers of one repository; used as a context. Each file is given once.

    `cache`: links into it are met as well. `is_busy`: whether `all` has met a claim that was signed by an execution,
    and not long ago.
    """

    def __init__(self, git: Git, cache: str | None = None) -> None:
        self.git = git
        self._cache = cache
        self.is_busy = False
        self._reader = CommittedReader(git)
        self._folders = {""}

    def __enter__(self) -> RepositoryRoots:
        self._reader.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.__exit__()

    def all(self, wants_snapshot: Callable[[str], bool]) -> Iterator[Root]:
        """Give what refs, indexes, worktrees and unfinished executions name; of snapshots, those that are wanted.

        Raises:
            GitmlError: Anything of it cannot be read.
        """
        yield from self._in_git(wants_snapshot)
        for worktree in worktrees(self.git):
            yield from self._on_disk(worktree.git)
            if self._cache is not None:
                machine = os.path.join(worktree.git.git_dir, "gitml")
                for link in links_in_worktree(worktree.git.worktree, machine, self._cache):
                    yield Root(*link)
        claims = os.path.join(self.git.common_dir, "gitml", "claims")
        for root in _journals(claims, "unfinished executions"):
            self.is_busy = self.is_busy or _is_recent(os.path.join(claims, root.path))
            yield root
        yield from self._in_git(wants_snapshot)

    def of_snapshots(self, oids: Collection[str]) -> Iterator[Root]:
        """Give what the locks in more snapshots name; raises as `all`."""
        return self._committed(self._reader.files(Tip(SNAPSHOTS + oid, oid) for oid in oids))

    def snapshots(self) -> list[str]:
        """List the commits that snapshot refs keep."""
        return [tip.oid for tip in refs(self.git) if tip.where.startswith(SNAPSHOTS)]

    def _in_git(self, wants_snapshot: Callable[[str], bool]) -> Iterator[Root]:
        every = refs(self.git)
        tips = [tip for tip in every if not tip.where.startswith(SNAPSHOTS) or wants_snapshot(tip.oid)]
        if any(tip.where == "refs/stash" for tip in every):  # or it has been popped since: then it is met on disk
            tips += stashes(self.git)
        for worktree in worktrees(self.git):
            if worktree.head is not None:
                tips.append(Tip(f"HEAD of {worktree.git.worktree}", worktree.head))
            tips += unfinished(worktree.git)
            if worktree.git.git_dir != self.git.git_dir:
                tips += refs(worktree.git, *OF_ONE_WORKTREE)
            yield from self._in_index(worktree)
        yield from self._committed(self._reader.files(tips))

    def _in_index(self, worktree: Worktree) -> Iterator[Root]:
        where = f"index of {worktree.git.worktree}"
        return self._committed(self._reader.blobs(where, in_index(worktree.git)))

    def _committed(self, files: Iterable[Committed]) -> Iterator[Root]:
        for file in files:
            self._folders.add(file.path[: file.path.index(".gitml/")].rstrip("/"))
            yield Root(*file)

    def _on_disk(self, git: Git) -> Iterator[Root]:
        machine = os.path.join(git.git_dir, "gitml")
        ran = _names(os.path.join(machine, "projects"))
        for folder in sorted({*self._folders, *(name.replace("%2F", "/").replace("%25", "%") for name in ran)}):
            for kind in _FOLDERS:
                path = os.path.join(folder, ".gitml", kind)
                if _is_reached_by_folders(git.worktree, path):
                    yield from _files(git.worktree, path)
        for folder in ("", *(os.path.join("projects", name) for name in ran)):
            yield from _journals(os.path.join(machine, folder, "inflight"), f"unfinished executions in {git.worktree}")


def _files(worktree: str, path: str) -> Iterator[Root]:
    """Read all files below a folder of locks or pointers; links are not followed, as nobody follows them."""
    with contextlib.suppress(FileNotFoundError), os.scandir(os.path.join(worktree, path)) as members:
        for member in members:
            below = os.path.join(path, member.name)
            if member.is_dir(follow_symlinks=False):
                yield from _files(worktree, below)
            elif member.is_file(follow_symlinks=False):
                yield from _mentions(worktree, below)


def _mentions(where: str, path: str) -> Iterator[Root]:
    """Read one file; none when it is gone again."""
    try:
        descriptor = os.open(os.path.join(where, path), _READ)
    except FileNotFoundError:
        return
    with open(descriptor, "rb") as file:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            yield Root(where, path, mentioned(iter(lambda: file.read(_CHUNK), b"")))


def _journals(folder: str, where: str) -> Iterator[Root]:
    """Read what executions have written down; claims are never unlinked, and most are empty."""
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as members:
        for member in members:
            if member.is_file(follow_symlinks=False) and member.stat(follow_symlinks=False).st_size:
                for root in _mentions(folder, member.name):
                    yield root._replace(where=where)


def _is_reached_by_folders(worktree: str, path: str) -> bool:
    """Tell whether no component of a path is a link, or missing: gitml reads no lock behind a link."""
    here = worktree
    for name in path.split("/"):
        here = os.path.join(here, name)
        try:
            if not stat.S_ISDIR(os.lstat(here).st_mode):
                return False
        except (FileNotFoundError, NotADirectoryError):
            return False
    return True


def _is_recent(path: str) -> bool:
    """Tell whether a claim may be that of an execution that still goes on."""
    try:
        return time.time() - os.stat(path).st_mtime < _LONGEST_EXECUTION_S
    except FileNotFoundError:
        return False


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
