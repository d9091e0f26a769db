"""What Git holds below a project: tracked files from the index, and what Git would add.

One `git ls-files` answers all questions about tracked files; questions about untracked ones are asked in batches.
Paths are relative to the project. Bytes that are not UTF-8 are kept (`surrogateescape`).
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from gitml.git.command import Git, GitError
from gitml.git.settings import exclude_files, read_settings
from gitml.model.path import parents
from gitml.model.tree import Kind

_KINDS = {
    "100644": Kind.FILE,
    "100755": Kind.EXECUTABLE,
    "120000": Kind.SYMLINK,
    "160000": Kind.DIRECTORY,
}
_MODE = slice(2, 8)
_OID_AT = 9


class Held(NamedTuple):
    """An entry of the index; `oid` names the blob, or the commit of a submodule."""

    kind: Kind
    oid: str

    @property
    def is_submodule(self) -> bool:
        """Tell whether another repository's commit is held here: Git holds no other folders."""
        return self.kind is Kind.DIRECTORY


class Tracked(Mapping[str, Held]):
    """The index below a project, by path, in Git's order.

    Rows are kept as text and become a `Held` when one is asked for: of 100,000 entries a pipeline reads a few.
    """

    __slots__ = ("_rows",)

    def __init__(self, rows: Mapping[str, str]) -> None:
        self._rows = rows

    def __getitem__(self, path: str) -> Held:
        row = self._rows[path]
        return Held(_KINDS[row[_MODE]], row[_OID_AT : row.index(" ", _OID_AT)])

    def submodules(self) -> frozenset[str]:
        """Pick the paths of submodules; 5 ms for 100,000 entries."""
        return frozenset(path for path, row in self._rows.items() if row.startswith("160000", _MODE.start))

    def __contains__(self, path: object) -> bool:
        return path in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


class HeldFiles:
    """What Git tracks or would add below the folder `prefix` of the worktree ("" for the worktree itself).

    `tracked`: the index. `conflicted`: paths whose merge is not resolved; `tracked` has "ours" of them where there is
    one. `skipped`: tracked paths that a sparse checkout leaves out of the worktree. `attributes_above`: the tracked
    `.gitattributes` of the folders that hold the project, relative to the worktree.

    It is a picture of one moment. Answers about untracked files are remembered for as long as the object lives.
    """

    def __init__(self, git: Git, prefix: str = "") -> None:
        self.git = git
        self.prefix = "" if prefix in ("", ".") else prefix.rstrip("/") + "/"
        rows, self.conflicted, self.skipped, self.attributes_above = _list(git, self.prefix)
        self.tracked = Tracked(rows)
        self._sorted: list[str] | None = None
        self._submodules: frozenset[str] | None = None
        self._added: dict[str, tuple[str, ...]] = {}
        self._ignored: dict[str, bool] = {}
        self._foreign: dict[str, bool] = {}

    def in_worktree(self, path: str) -> str:
        """Give a path of the project as a path of the worktree."""
        if path == ".":
            return self.prefix.rstrip("/") or "."
        return self.prefix + path

    def is_held(self, path: str) -> bool:
        """Tell whether Git tracks the path, as a file, a symlink or a submodule."""
        return path in self.tracked

    def is_dir(self, path: str) -> bool:
        """Tell whether Git tracks anything below the path."""
        start, end = self._range(path)
        return start < end

    @property
    def submodules(self) -> frozenset[str]:
        """The paths at which Git holds a commit of another repository."""
        if self._submodules is None:
            self._submodules = self.tracked.submodules()
        return self._submodules

    def submodule_of(self, path: str) -> str | None:
        """Name the submodule that a path is, or lies in."""
        if not self.submodules:
            return None
        return next((folder for folder in (path, *parents(path)) if folder in self.submodules), None)

    def held_under(self, folder: str) -> list[str]:
        """Name what Git tracks below a folder, sorted by code points; `.` is the project."""
        start, end = self._range(folder)
        return self._names()[start:end]

    def would_add(self, folder: str = ".") -> tuple[str, ...]:
        """Name the untracked files below a folder that `git add` would take, sorted; costs one process per folder.

        Folders that are repositories of their own are left out.
        """
        if folder not in self._added:
            where = self.in_worktree(folder)
            pathspec = () if where == "." else ("--", where)
            out = self.git.run("ls-files", "-o", "--exclude-standard", "-z", *pathspec)
            names = (name[len(self.prefix) :] for name in _split(out) if not name.endswith("/"))
            self._added[folder] = tuple(sorted(names))
        return self._added[folder]

    def ignored(self, paths: Iterable[str]) -> frozenset[str]:
        """Pick those of the paths that `git add` would not take; costs one process for all that are new.

        That is: ignored and not tracked, or beyond a symlink, or in another repository (Git dies when it is asked
        about a path beyond a symlink or in a submodule, and a whole batch with it). The paths need not exist.
        """
        wanted = set(paths)
        asked = [path for path in wanted if path not in self._ignored]
        own = []
        for path in asked:
            if self._is_foreign(path):
                self._ignored[path] = True
            elif path != "." and not self.is_held(path) and not self.is_dir(path):
                own.append(path)
        self._ignored.update(self._check_ignore(own))
        return frozenset(path for path in wanted if self._ignored.get(path, False))

    def _check_ignore(self, paths: list[str]) -> dict[str, bool]:
        if not paths:
            return {}
        answers = dict.fromkeys(paths, False)
        try:
            # This command alone knows no literal pathspecs; "./" keeps a leading ":" from being read as magic.
            names = join_names("./" + self.in_worktree(path) for path in paths)
            # With the index, Git compares each path with each entry: 1.3 s for 1,000 paths and 100,000 entries. It
            # is needed only for a `.gitignore` that a sparse checkout left there.
            index = () if self.skipped else ("--no-index",)
            literal = {"GIT_LITERAL_PATHSPECS": "0"}
            out = self.git.run("check-ignore", "-v", "-z", *index, "--stdin", input=names, env=literal)
        except GitError as error:
            if error.exit_status == 1:  # none of them is ignored
                return answers
            raise
        # Quadruples of source, line, pattern and path. Without `-v`, Git before 2.26 also names paths whose last
        # matching pattern re-includes them.
        fields = _split(out)
        for pattern, path in zip(fields[2::4], fields[3::4], strict=True):
            answers[path[len("./" + self.prefix) :]] = not pattern.startswith("!")
        return answers

    def _is_foreign(self, path: str) -> bool:
        return any(self._is_foreign_folder(folder) for folder in parents(path))

    def _is_foreign_folder(self, folder: str) -> bool:
        if folder not in self._foreign:
            held = self.tracked.get(folder)
            full = os.path.join(self.git.worktree, self.in_worktree(folder))
            beyond = held is not None and held.kind in (Kind.DIRECTORY, Kind.SYMLINK)
            self._foreign[folder] = beyond or os.path.islink(full) or os.path.lexists(os.path.join(full, ".git"))
        return self._foreign[folder]

    def _names(self) -> list[str]:
        if self._sorted is None:
            # Git sorts by bytes, Python by code points: they differ where a name is not UTF-8. Nearly sorted is cheap.
            self._sorted = sorted(self.tracked)
        return self._sorted

    def _range(self, folder: str) -> tuple[int, int]:
        names = self._names()
        if folder == ".":
            return 0, len(names)
        return bisect_left(names, folder + "/"), bisect_left(names, folder + "0")  # "0" comes right after "/"


def join_names(names: Iterable[str]) -> bytes:
    """Encode names as Git's `-z --stdin` wants them."""
    return b"".join(os.fsencode(name) + b"\0" for name in names)


def _split(out: bytes) -> list[str]:
    return os.fsdecode(out).split("\0")[:-1]


def _list(git: Git, prefix: str) -> tuple[dict[str, str], frozenset[str], frozenset[str], frozenset[str]]:
    """Run `git ls-files`, whose rows are `<tag> <mode> <oid> <stage>TAB<path>`.

    The part before the path is as wide in every row, so that a slice does for a split.
    """
    above = (".gitattributes", *(f"{folder}/.gitattributes" for folder in parents(prefix[:-1])))
    pathspec = ("--", prefix[:-1], *above) if prefix else ()
    table = _split(git.run("ls-files", "-s", "-v", "-z", *pathspec))
    if not table:
        return {}, frozenset(), frozenset(), frozenset()
    path_at = table[0].index("\t") + 1
    outside: frozenset[str] = frozenset()
    if prefix:
        outside = frozenset(row[path_at:] for row in table if not row.startswith(prefix, path_at))
        table = [row for row in table if row.startswith(prefix, path_at)]
    at, stage = path_at + len(prefix), path_at - 2
    rows = {row[at:]: row for row in table}
    odd = [row for row in table if row[0] != "H"]  # one pass over what may be 100,000 rows; "H": nothing to say of it
    unmerged = [row for row in odd if row[stage] != "0"]
    rows.update((row[at:], row) for row in unmerged if row[stage] == "2")
    conflicted = frozenset(row[at:] for row in unmerged)
    return rows, conflicted, frozenset(row[at:] for row in odd if row[0] in "Ss"), outside


def index_stamp(git: Git, folders: Iterable[str] = ()) -> tuple[object, ...]:
    """Give a value that differs when answers about tracked files, or about ignored ones in `folders`, may differ.

    It covers the index, the `.gitignore` files from the top of the worktree to each of `folders` (relative to the
    worktree), `info/exclude`, the user's ignore files and all configuration. It does not cover which untracked files
    exist. Stat fields of the index alone could repeat when it is rewritten within one tick of the clock; the
    checksum that Git ends it with cannot.
    """
    settings = read_settings(git)
    ways = {folder for given in folders for folder in (given, *parents(given))} | {"."}
    ignores = (os.path.join(git.worktree, folder, ".gitignore") for folder in sorted(ways))
    others = (*settings.files, *exclude_files(git, settings), *ignores)
    return (_stat(git.index_file), _checksum(git.index_file), settings.given, *((p, *_stat(p)) for p in others))


def _stat(path: str) -> tuple[int, ...]:
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def _checksum(index_file: str) -> str:
    try:
        with open(index_file, "rb") as file:
            file.seek(-20, os.SEEK_END)
            return file.read().hex()
    except OSError:
        return ""
