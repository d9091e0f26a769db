"""What every ref and every worktree of a repository holds of the files that gitml commits: locks and pointers.

Garbage collection rests on it, so the answer is whole or an error: a ref that cannot be resolved, an object that is
missing, a worktree that is not there. Objects are read through one `git cat-file --batch`, level by level of all tips
at once, and each tree once, however many commits share it: a repository of 1,000 branches costs what differs.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from gitml.errors import GitmlError
from gitml.git.command import Git, GitError, run_git
from gitml.git.repository import open_exactly
from gitml.model.mention import Mentions, mentioned

_HOME = b".gitml"
_KINDS = (b"lock", b"sources")
_OUTSIDE, _AT_HOME, _WANTED = range(3)
_FOLDER_MODES = (b"40000", b"040000")
_OID = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_WINDOW = 100
"""Requests that are written before the answers are read: less than the smallest pipe (16 KiB) holds of them."""
_CHUNK = 1 << 20
_UNFINISHED = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD", "rebase-merge/autostash")
_UNFINISHED_MORE = ("rebase-apply/autostash", "rebase-merge/orig-head", "rebase-apply/orig-head")
OF_ONE_WORKTREE = ("refs/bisect/", "refs/rewritten/", "refs/worktree/")
"""Refs that each worktree has for itself."""
_NO_REPLACEMENTS = {"GIT_NO_REPLACE_OBJECTS": "1"}
"""A replaced commit and its replacement (a ref as well) are both read, each as it is."""


class UnreadableRootError(GitmlError):
    """Something that names data cannot be read, so that nobody can tell what is needed."""


class Tip(NamedTuple):
    """A commit, tag or tree from which files are reached; `where` is what messages call it."""

    where: str
    oid: str


class Committed(NamedTuple):
    """A lock or pointer in a commit, tree or index, and what it mentions; `path` is relative to the worktree.

    `oid`: its blob.
    """

    where: str
    path: str
    mentions: Mentions
    oid: str


class Worktree(NamedTuple):
    """A worktree, with Git bound to it; `head` is None before its first commit."""

    git: Git
    head: str | None


def bind(common_dir: str, environ: Mapping[str, str]) -> Git:
    """Bind Git to a repository that is known by its common directory, once Git has said that it may be trusted.

    Raises:
        UnreadableRootError: It is gone, is no repository, or belongs to another user (`safe.directory`).
    """
    try:
        found = os.fsdecode(run_git(("rev-parse", "--absolute-git-dir"), cwd=common_dir, environ=environ))
    except (GitmlError, NotADirectoryError) as error:
        why = error.message if isinstance(error, GitmlError) else "it is not a folder"
        raise UnreadableRootError(f"repository {common_dir} cannot be read: {why}") from error
    if os.path.realpath(found.removesuffix("\n")) != os.path.realpath(common_dir):
        raise UnreadableRootError(f"repository {common_dir} cannot be read: no Git directory is there")
    index = os.path.join(common_dir, "index")
    return Git(worktree=common_dir, git_dir=common_dir, common_dir=common_dir, index_file=index, environ=environ)


def refs(git: Git, *prefixes: str) -> list[Tip]:
    """List all refs of the repository, or those below `prefixes`, and those that this worktree alone has.

    Raises:
        GitError: One is broken.
    """
    question = ("for-each-ref", "--format=%(objectname) %(refname)", *prefixes)
    try:
        out = git.run(*question, strict=True)
    except GitError as error:
        # A symref to a branch that was deleted (origin/HEAD, often) names nothing that could be lost.
        dangling = all(line.startswith("warning: ignoring dangling symref") for line in error.stderr.splitlines())
        if error.exit_status != 0 or not dangling:
            raise
        out = git.run(*question)
    rows = (line.partition(" ") for line in os.fsdecode(out).splitlines())
    return [Tip(name, oid) for oid, _, name in rows]


def stashes(git: Git) -> list[Tip]:
    """List all stash entries with their parents: what was untracked and what was in the index are commits as well.

    The ref has the last entry and its reflog the others.
    """
    try:
        out = git.run("rev-list", "--walk-reflogs", "--format=%H %P", "refs/stash").decode()
    except GitError:
        if refs(git, "refs/stash"):
            raise
        return []
    rows = [line.split() for line in out.splitlines() if not line.startswith("commit ")]
    return [Tip(f"stash@{{{number}}}", oid) for number, oids in enumerate(rows) for oid in oids]


def unfinished(git: Git) -> list[Tip]:
    """List what a merge, rebase, cherry-pick or revert in this worktree has set aside and nothing else may name."""
    found = []
    for name in _UNFINISHED + _UNFINISHED_MORE:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            with open(os.path.join(git.git_dir, name), "rb") as file:
                oids = [line.strip() for line in file.read(1 << 16).splitlines()]
            found += [Tip(f"{name} of {git.worktree}", oid.decode()) for oid in oids if _OID.match(oid)]
    return found


def worktrees(git: Git) -> list[Worktree]:
    """List the main worktree, unless the repository is bare, and all linked ones.

    Raises:
        UnreadableRootError: One is gone, or is another repository's by now.
    """
    found = []
    for number, record in enumerate(_worktree_records(git)):
        fields = dict(line.partition(" ")[::2] for line in record)
        if "bare" not in fields:
            path = fields["worktree"]
            bound = _bound(git, _main_folder(git, path) if number == 0 else path)
            oid = fields.get("HEAD", "")
            found.append(Worktree(bound, oid if oid.strip("0") else None))
    return found


def in_index(git: Git) -> list[tuple[str, str]]:
    """Give `(path, blob)` of the locks and pointers in a worktree's index, at all stages of a conflict."""
    out = git.run("-c", "core.fsmonitor=false", "ls-files", "--stage", "-z")
    found = []
    for row in out.split(b"\0"):
        if b".gitml/" in row and row.startswith(b"100"):
            facts, _, path = row.partition(b"\t")
            if _is_wanted(path.split(b"/")):
                found.append((os.fsdecode(path), facts.split(b" ")[1].decode()))
    return found


class CommittedReader:
    """Reads locks and pointers of one repository through one process; used as a context.

    Each tree and each file is looked into once, so that a second call gives only what the first did not.
    """

    def __init__(self, git: Git) -> None:
        self._git = git
        self._seen: set[tuple[str, int]] = set()

    def __enter__(self) -> CommittedReader:
        self._process = self._git.start("cat-file", "--batch", env=_NO_REPLACEMENTS)
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        self._process.wait()

    def files(self, tips: Iterable[Tip]) -> Iterator[Committed]:
        """Give the locks and pointers that are in the trees of these tips.

        Raises:
            UnreadableRootError: An object is missing or damaged.
        """
        level = [_Item(tip.where, tip.oid, b"", _OUTSIDE) for tip in tips]
        while level:
            found: list[_Item] = []
            blobs: list[_Item] = []
            for item, kind, chunks in self._read(self._unseen(level)):
                if kind == b"blob":
                    continue  # a tag of a file
                below = _below(item, kind, b"".join(chunks))
                for one in below:
                    (blobs if one.is_blob else found).append(one)
            yield from self._digests(blobs)
            level = found

    def blobs(self, where: str, rows: Iterable[tuple[str, str]]) -> Iterator[Committed]:
        """Give the files of an index, as `in_index` lists them; raises as `files`."""
        return self._digests([_Item(where, oid, os.fsencode(path), _WANTED, is_blob=True) for path, oid in rows])

    def _digests(self, items: Iterable[_Item]) -> Iterator[Committed]:
        for item, _, chunks in self._read(self._unseen(items)):
            yield Committed(item.where, os.fsdecode(item.path), mentioned(chunks), item.oid)

    def _unseen(self, items: Iterable[_Item]) -> list[_Item]:
        new = []
        for item in items:
            if (item.oid, item.state) not in self._seen:
                self._seen.add((item.oid, item.state))
                new.append(item)
        return new

    def _read(self, items: Sequence[_Item]) -> Iterator[tuple[_Item, bytes, Iterator[bytes]]]:
        """Ask for objects; gives each with its kind and its bytes, to be used before the next one."""
        source, target = self._process.stdout, self._process.stdin
        assert source is not None
        assert target is not None
        for start in range(0, len(items), _WINDOW):
            window = items[start : start + _WINDOW]
            with contextlib.suppress(BrokenPipeError):  # what is read next tells
                target.write(b"".join(item.oid.encode() + b"\n" for item in window))
                target.flush()
            for item in window:
                words = source.readline().split()
                if len(words) != 3:
                    raise self._refusal(item, words)
                chunks = self._chunks(item, int(words[2]))
                yield item, words[1], chunks
                for _ in chunks:
                    pass

    def _chunks(self, item: _Item, size: int) -> Iterator[bytes]:
        source = self._process.stdout
        assert source is not None
        rest = size + 1  # a newline ends it
        while rest:
            chunk = source.read(min(rest, _CHUNK))
            if not chunk:
                raise self._refusal(item, [])
            rest -= len(chunk)
            yield chunk if rest else chunk[:-1]

    def _refusal(self, item: _Item, words: list[bytes]) -> UnreadableRootError:
        said = ""
        if not words and self._process.stderr is not None:  # Git has died
            said = os.fsdecode(self._process.stderr.read()).strip().partition("\n")[0]
        why = f": {said}" if said else " (missing)" if words else ""
        return UnreadableRootError(
            f"{item.where} cannot be read: Git has no object {item.oid}{why}",
            hint="`git fsck` tells what is broken; nothing was deleted",
        )


class _Item(NamedTuple):
    where: str
    oid: str
    path: bytes
    state: int
    is_blob: bool = False


def _below(item: _Item, kind: bytes, data: bytes) -> list[_Item]:
    """Name what is to be read next, after a tag, a commit or a tree."""
    if kind == b"tree":
        return _in_tree(item, data)
    wanted = b"object " if kind == b"tag" else b"tree "
    lines = data.partition(b"\n\n")[0].splitlines()
    return [item._replace(oid=line.split(b" ")[1].decode()) for line in lines if line.startswith(wanted)]


_ROWS = {size: re.compile(rb"([0-7]{5,6}) ([^\0]+)\0(.{%d})" % size, re.DOTALL) for size in (20, 32)}


def _in_tree(item: _Item, data: bytes) -> list[_Item]:
    rows = _ROWS[len(item.oid) // 2].findall(data)
    if sum(len(mode) + len(name) + len(raw) + 2 for mode, name, raw in rows) != len(data):
        raise UnreadableRootError(f"{item.where} cannot be read: tree {item.oid} is damaged", hint="git fsck")
    found = []
    for mode, name, raw in rows:
        is_blob = mode.startswith(b"100")
        if is_blob:
            state = _WANTED if item.state == _WANTED else None
        else:
            state = _state_in(item.state, name) if mode in _FOLDER_MODES else None
        if state is not None:
            path = item.path + b"/" + name if item.path else name
            found.append(_Item(item.where, raw.hex(), path, state, is_blob))
    return found


def _state_in(state: int, folder: bytes) -> int | None:
    """Tell what a folder is for, seen from what its parent is for; None: nothing of ours is in there."""
    if state == _OUTSIDE:
        return _AT_HOME if folder == _HOME else _OUTSIDE
    if state == _AT_HOME:
        return _WANTED if folder in _KINDS else None
    return _WANTED


def _is_wanted(parts: Sequence[bytes]) -> bool:
    return any(parts[at] == _HOME and parts[at + 1] in _KINDS for at in range(len(parts) - 2))


def _worktree_records(git: Git) -> list[list[str]]:
    """Split the listing into worktrees, and those into lines."""
    try:
        out, end = os.fsdecode(git.run("worktree", "list", "--porcelain", "-z")), "\0"
    except GitError as error:
        if (
            error.exit_status != 129
        ):  # "unknown option": before Git 2.36. A newline in a path then ends as a gone folder
            raise
        out, end = os.fsdecode(git.run("worktree", "list", "--porcelain")), "\n"
    return [record.split(end) for record in out.split(end + end) if record]


def _bound(git: Git, folder: str) -> Git:
    found = open_exactly(folder, git.environ) if os.path.isdir(folder) else None
    if found is None or found.common_dir != git.common_dir:
        raise UnreadableRootError(
            f"worktree {folder} is gone or cannot be read, so what it needs is not known",
            hint="git worktree prune, if it is gone for good; git worktree repair, if it was moved",
        )
    return found.git(git.environ)


def _main_folder(git: Git, listed: str) -> str:
    """Name the main worktree: of a submodule, Git lists the folder that holds its objects instead."""
    if git.git_dir == git.common_dir != git.worktree:
        return git.worktree
    if os.path.lexists(os.path.join(listed, ".git")):
        return listed
    config = os.path.join(git.common_dir, "config")
    try:
        found = os.fsdecode(git.run("config", "--file", config, "--get", "core.worktree")).removesuffix("\n")
    except GitError:
        return listed
    return os.path.join(git.common_dir, found)
