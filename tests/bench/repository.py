"""The Git repositories that tools are measured in, and commands in them that are not measured."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

WHO = {
    "GIT_AUTHOR_NAME": "bench",
    "GIT_AUTHOR_EMAIL": "bench@gitml.invalid",
    "GIT_COMMITTER_NAME": "bench",
    "GIT_COMMITTER_EMAIL": "bench@gitml.invalid",
}


class NotDoneError(Exception):
    """A command failed, or ended well without having done its work: there is nothing to measure."""


def quiet(argv: Sequence[str], folder: Path, environ: Mapping[str, str]) -> str:
    """Run a command that is not measured and give what it printed; `environ` is laid over the harness's own.

    Raises:
        NotDoneError: It failed.
    """
    done = _run(argv, folder, environ)
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise NotDoneError(f"{' '.join(argv)}: exit {done.returncode}: {''.join(words)}")
    return done.stdout.decode(errors="replace")


def exit_of(argv: Sequence[str], folder: Path, environ: Mapping[str, str]) -> int:
    """Run a command whose exit status is its answer."""
    return _run(argv, folder, environ).returncode


def git(folder: Path, *args: str) -> None:
    """Call Git as the benchmark's own user; raises as `quiet`."""
    quiet(["git", *args], folder, WHO)


def commit_all(folder: Path, message: str) -> None:
    """Commit everything that Git does not ignore."""
    git(folder, "add", "--all")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)


def tracked(folder: Path, path: str) -> int:
    """Count the files below a path that Git's index has."""
    return quiet(["git", "ls-files", "-z", path], folder, {}).count("\0")


def _run(argv: Sequence[str], folder: Path, environ: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(argv, cwd=folder, env={**os.environ, **environ}, capture_output=True, check=False)
