"""Running Git: the one place where a Git process is started."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field

from gitml.errors import GitmlError, UsageError

_OF_ANOTHER_PROCESS = frozenset(
    {
        # Where a repository is. A hook hands these down, and they would outvote the repository that gitml was asked
        # about: a hook whose command visits a second repository would read, or write, the first.
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_COMMON_DIR",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_QUARANTINE_PATH",
        "GIT_GRAFT_FILE",
        "GIT_SHALLOW_FILE",
        "GIT_PREFIX",
        "GIT_NAMESPACE",
        "GIT_ATTR_SOURCE",
        "GIT_INTERNAL_SUPER_PREFIX",
        # How pathspecs are read: ours are literal, and Git refuses to combine that with the others.
        "GIT_GLOB_PATHSPECS",
        "GIT_NOGLOB_PATHSPECS",
        "GIT_ICASE_PATHSPECS",
        # Settings given by GIT_CONFIG_PARAMETERS (`git -c`) and GIT_CONFIG_COUNT are the user's word and stay.
    }
)

_ALWAYS = {
    # Messages in English, without LC_ALL: a clean filter is run in this environment too, and what it makes of a
    # file's characters may depend on the user's locale. Git must see the same bytes whoever starts it.
    "LANGUAGE": "C",
    "LC_MESSAGES": "C",
    # Queries never take `index.lock`, so a `git commit` of the user's beside them is never refused.
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_TERMINAL_PROMPT": "0",
}


class GitError(GitmlError):
    """Git refused. `command` is the subcommand, `exit_status` what it ended with, `stderr` all that it said."""

    def __init__(self, command: str, exit_status: int, stderr: str, *, hint: str | None = None) -> None:
        self.command = command
        self.exit_status = exit_status
        self.stderr = stderr
        super().__init__(f"git {command} failed: {_telling_line(stderr) or f'exit {exit_status}'}", hint=hint)


@dataclass(frozen=True, kw_only=True, slots=True)
class Git:
    """Git, bound to one worktree; all folders are absolute real paths.

    `common_dir` differs from `git_dir` in a linked worktree. `index_file` is the index of a commit in progress when
    gitml is called from its hook, else the worktree's own. `environ` is the environment that gitml was started with.
    """

    worktree: str
    git_dir: str
    common_dir: str
    index_file: str
    environ: Mapping[str, str] = field(repr=False, compare=False)

    def run(
        self, *args: str, input: bytes | None = None, env: Mapping[str, str] | None = None, strict: bool = False
    ) -> bytes:
        """Run `git args…` at the top of the worktree and give what it wrote.

        `env` is laid over the environment; `strict`: a warning is an error too. Pathspecs are literal. Names in the
        output are decoded by `os.fsdecode`, so that any bytes survive.

        Raises:
            GitError: Git ended with another status than 0.
            UsageError: Git is not installed.
        """
        bound = {**self._bound(), **(env or {})}
        return run_git(args, cwd=self.worktree, environ=self.environ, input=input, env=bound, strict=strict)

    def start(self, *args: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start `git args…` to talk with; see `start_git`."""
        return start_git(args, cwd=self.worktree, environ=self.environ, env={**self._bound(), **(env or {})})

    def _bound(self) -> dict[str, str]:
        return {"GIT_DIR": self.git_dir, "GIT_WORK_TREE": self.worktree, "GIT_INDEX_FILE": self.index_file}


def run_git(
    args: tuple[str, ...],
    *,
    cwd: str,
    environ: Mapping[str, str],
    input: bytes | None = None,
    env: Mapping[str, str] | None = None,
    strict: bool = False,
) -> bytes:
    """Run `git args…` in `cwd` without being bound to a repository; see `Git.run`.

    `strict`: a warning is an error too, for questions whose answer must be whole.

    Raises:
        GitError: Git ended with another status than 0.
        UsageError: Git is not installed.
    """
    full = _environment(environ, env)
    try:
        # Without input, an empty one: Git and its filters never read what the user types.
        done = subprocess.run(["git", *args], cwd=cwd, env=full, input=input or b"", capture_output=True, check=False)
    except FileNotFoundError as error:
        raise _not_started(cwd) from error
    if done.returncode != 0 or (strict and done.stderr):
        raise GitError(_subcommand(args), done.returncode, os.fsdecode(done.stderr))
    return done.stdout


def start_git(
    args: tuple[str, ...], *, cwd: str, environ: Mapping[str, str], env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a Git process to talk with, by pipes for all three streams; see `run_git`.

    Raises:
        UsageError: Git is not installed.
    """
    pipe = subprocess.PIPE
    full = _environment(environ, env)
    try:
        return subprocess.Popen(["git", *args], cwd=cwd, env=full, stdin=pipe, stdout=pipe, stderr=pipe)
    except FileNotFoundError as error:
        raise _not_started(cwd) from error


def _environment(environ: Mapping[str, str], env: Mapping[str, str] | None) -> dict[str, str]:
    kept = {name: value for name, value in environ.items() if name not in _OF_ANOTHER_PROCESS}
    return {**kept, **_ALWAYS, **(env or {})}


def _not_started(cwd: str) -> UsageError:
    if not os.path.isdir(cwd):
        return UsageError(f"the folder {cwd} is gone")
    return UsageError("git is not installed, or not on PATH", hint="install Git 2.30 or newer")


def _subcommand(args: tuple[str, ...]) -> str:
    words = iter(args)
    for word in words:
        if word == "-c":
            next(words)
        elif not word.startswith("-"):
            return word
    return ""


def _telling_line(stderr: str) -> str:
    """Pick what Git died of; lines before it are warnings, or the words of a filter that Git ran."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    for line in lines:
        if line.startswith("fatal: "):
            return line[len("fatal: ") :]
    return lines[0].removeprefix("error: ") if lines else ""
