"""Finding the repository that a folder belongs to.

`gitml status` may cost little more than starting Python, and a Git process costs some milliseconds: in the ordinary
case the answer is read from the files themselves, by the rules of gitrepository-layout(5). Whatever is not plainly
ordinary is left to Git, whose answer is final: variables that move the repository, another owner, odd files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from gitml.errors import UsageError
from gitml.git.command import Git, GitError, run_git

_MOVES_DISCOVERY = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_CEILING_DIRECTORIES",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
)
_PLACES = ("--show-toplevel", "--absolute-git-dir", "--git-common-dir")
_SETS_WORKTREE = re.compile(
    rb"^[ \t]*(?:\[[^\]]*\][ \t]*)?worktree[ \t]*=[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE
)
_SETS_BARE = re.compile(rb"^[ \t]*(?:\[[^\]]*\][ \t]*)?bare[ \t]*(=[^\r\n]*)?$", re.IGNORECASE | re.MULTILINE)


class Repository(NamedTuple):
    """Where a repository keeps things; all are absolute real paths.

    `git_dir` is the worktree's own, `common_dir` the one that linked worktrees share. `index_file` is
    `git_dir/index`, or the index of a commit in progress when gitml is called from its hook.
    """

    worktree: str
    git_dir: str
    common_dir: str
    index_file: str

    def git(self, environ: Mapping[str, str]) -> Git:
        """Bind Git to this repository."""
        return Git(
            worktree=self.worktree,
            git_dir=self.git_dir,
            common_dir=self.common_dir,
            index_file=self.index_file,
            environ=environ,
        )


def open_repository(start: str, environ: Mapping[str, str]) -> Repository:
    """Find the repository whose worktree holds the folder `start`.

    Raises:
        UsageError: There is none, it is bare, it is not trusted (`safe.directory`), or Git is needed but missing.
    """
    folder = os.path.realpath(start)
    found = None if any(name in environ for name in _MOVES_DISCOVERY) else _read(folder)
    worktree, git_dir, common_dir = found or _ask_git(folder, environ)
    return Repository(
        worktree=worktree,
        git_dir=git_dir,
        common_dir=common_dir,
        index_file=_index_file(worktree, git_dir, environ),
    )


def open_exactly(folder: str, environ: Mapping[str, str]) -> Repository | None:
    """Open the repository whose worktree is `folder` itself, wherever variables point (a hook's name the outer one).

    None: there is none, as where a submodule is not checked out.
    """
    if not os.path.lexists(os.path.join(folder, ".git")):
        return None
    found = open_repository(folder, {name: v for name, v in environ.items() if name not in _MOVES_DISCOVERY})
    return found if found.worktree == os.path.realpath(folder) else None


def _index_file(worktree: str, git_dir: str, environ: Mapping[str, str]) -> str:
    """Name the index to read.

    `git commit -a` and `git commit PATH` hand their hooks an index beside the usual one, and what they commit is in
    there. It lies in the Git directory; a GIT_INDEX_FILE elsewhere belongs to another repository or another purpose.
    """
    given = environ.get("GIT_INDEX_FILE")
    if given:
        path = os.path.join(worktree, given)
        if os.path.realpath(os.path.dirname(path)) == git_dir:
            return os.path.join(git_dir, os.path.basename(path))
    return os.path.join(git_dir, "index")


def _read(folder: str) -> tuple[str, str, str] | None:
    """Walk up to the nearest `.git`; None: let Git decide."""
    try:
        device = os.stat(folder).st_dev
        while True:
            if os.path.lexists(folder + "/.git"):
                return _read_worktree(folder)
            parent = os.path.dirname(folder)
            # Git stops at mount points, and a folder that looks like a bare repository ends its walk too.
            if parent == folder or os.path.lexists(folder + "/HEAD") or os.stat(parent).st_dev != device:
                return None
            folder = parent
    except OSError:
        return None


def _read_worktree(worktree: str) -> tuple[str, str, str] | None:
    dot_git = os.path.join(worktree, ".git")
    git_dir = dot_git if os.path.isdir(dot_git) else _gitfile(dot_git)
    if git_dir is None:
        return None
    git_dir = os.path.realpath(git_dir)
    linked = _line(os.path.join(git_dir, "commondir"))
    common_dir = git_dir if linked is None else os.path.realpath(os.path.join(git_dir, os.fsdecode(linked)))
    ours = all(os.lstat(path).st_uid == os.geteuid() for path in (worktree, dot_git, git_dir))
    whole = (
        os.path.lexists(git_dir + "/HEAD")
        and os.path.isdir(common_dir + "/objects")
        and os.path.isdir(common_dir + "/refs")
    )
    if not ours or not whole:
        return None
    # The main worktree's `core.bare` and `core.worktree` say nothing about a linked one; `config.worktree` does.
    configs = [git_dir + "/config.worktree"] + ([common_dir + "/config"] if linked is None else [])
    if not all(_config_is_ordinary(config, git_dir, worktree) for config in configs):
        return None
    return worktree, git_dir, common_dir


def _gitfile(path: str) -> str | None:
    text = _line(path)
    if text is None or not text.startswith(b"gitdir: "):
        return None
    return os.path.join(os.path.dirname(path), os.fsdecode(text[len(b"gitdir: ") :]))


def _line(path: str) -> bytes | None:
    """Read a file of one line; None: it is not there."""
    try:
        with open(path, "rb") as file:
            return file.read().rstrip(b"\r\n")
    except FileNotFoundError:
        return None


def _config_is_ordinary(path: str, git_dir: str, worktree: str) -> bool:
    """Tell whether a repository's own config leaves the worktree where it was found (submodules say so in words)."""
    text = _line(path)
    if text is None:
        return True
    if any(value.strip(b"= \t").lower() != b"false" for value in _SETS_BARE.findall(text)):
        return False
    for value in _SETS_WORKTREE.findall(text):
        if not value or any(c in value for c in b'"\\#;'):
            return False
        if os.path.realpath(os.path.join(git_dir, os.fsdecode(value.strip()))) != worktree:
            return False
    return True


def _ask_git(folder: str, environ: Mapping[str, str]) -> tuple[str, str, str]:
    moved = {name: environ[name] for name in _MOVES_DISCOVERY if name in environ}

    def ask(*questions: str) -> str:
        answer = run_git(("rev-parse", *questions), cwd=folder, environ=environ, env=moved)
        return os.fsdecode(answer.removesuffix(b"\n"))

    try:
        # In a container whose user does not own the worktree this is asked every time: two processes, not five.
        bare, inside = ask("--is-bare-repository", "--is-inside-work-tree").split("\n")
        if bare == "true":
            raise UsageError(
                f"{folder} is in a bare repository: gitml needs a worktree", hint="git worktree add FOLDER"
            )
        if inside != "true":
            raise UsageError(f"{folder} is not inside a worktree", hint="call gitml in a checked-out folder")
        answers = ask(*_PLACES).split("\n")
        if len(answers) != len(_PLACES):  # a path holds a newline
            answers = [ask(place) for place in _PLACES]
    except GitError as error:
        raise _plain(error, folder) from error
    worktree, git_dir, common_dir = (os.path.realpath(os.path.join(folder, answer)) for answer in answers)
    return worktree, git_dir, common_dir


def _plain(error: GitError, folder: str) -> UsageError:
    # Every version that knows of ownership prints the command with `safe.directory`, which no language translates.
    refused = re.search(r"git config --global --add safe\.directory .+", error.stderr)
    if refused:
        return UsageError("Git does not trust this repository: another user owns it", hint=refused.group().strip())
    if "not a git repository" in error.stderr:
        return UsageError(f"{folder} is not in a Git repository", hint="git init")
    return UsageError(error.message, hint=error.hint)
