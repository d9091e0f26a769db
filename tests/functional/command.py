"""The installed `gitml` command on real repositories, run as a person runs it: as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.repos import Repo, isolated_environ, new_repo

GITML = str(Path(sys.executable).parent / "gitml")
LONGEST = 60.0
"""Seconds after which a call that does not end is a failure."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Called:
    """How one call of `gitml` ended, with what it printed; of `repro --json` also the events."""

    args: tuple[str, ...]
    code: int
    stdout: str
    stderr: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON lines of `repro --json`."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    @property
    def outcomes(self) -> dict[str, str]:
        """What became of each step."""
        return {event["step"]: event["outcome"] for event in self.events if event["event"] == "settled"}

    @property
    def ran(self) -> list[str]:
        """The steps whose commands ran to a good end, in that order."""
        return [step for step, outcome in self.outcomes.items() if outcome == "ran"]

    @property
    def restored(self) -> list[str]:
        """The steps that came from the cache."""
        return [step for step, outcome in self.outcomes.items() if outcome == "restored"]

    def settled(self, step: str) -> dict[str, Any]:
        """The event that ended a step."""
        return next(e for e in self.events if e["event"] == "settled" and e["step"] == step)

    @property
    def reasons(self) -> dict[str, list[str]]:
        """Why each step did not stay as it was."""
        settled = (event for event in self.events if event["event"] == "settled")
        return {event["step"]: [reason["text"] for reason in event["reasons"]] for event in settled}


class Project:
    """A repository with a `gitml.toml`. Commands of its steps find in `$RAN` a file to append to, outside of it."""

    def __init__(self, repo: Repo, ran: Path) -> None:
        self.repo = repo
        self.path = repo.path
        self.ran_log = ran
        self.environ = {
            **repo.environ,
            "RAN": str(ran),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{repo.environ['PATH']}",
            "LC_ALL": "C.UTF-8",
        }

    def write(self, path: str, data: str | bytes = "", *, executable: bool = False) -> Path:
        """Write a file of the worktree, with its parents."""
        return self.repo.write(path, data, executable=executable)

    def read(self, path: str) -> str:
        """Read a file of the worktree."""
        return (self.path / path).read_text()

    def exists(self, path: str) -> bool:
        """Tell whether something, even a broken link, stands at a path."""
        return os.path.lexists(self.path / path)

    def commit(self, message: str = "change") -> str:
        """Commit everything that is not ignored."""
        return self.repo.commit(message)

    def calls(self) -> list[str]:
        """What commands have appended to `$RAN` since the last call of this."""
        try:
            lines = self.ran_log.read_text().splitlines()
        except FileNotFoundError:
            return []
        self.ran_log.unlink()
        return lines

    def gitml(
        self, *args: str, code: int | None = 0, environ: Mapping[str, str] | None = None, cwd: str = "."
    ) -> Called:
        """Run `gitml`; fails the test unless it ends with `code` (None: with any), or if it shows a traceback."""
        done = subprocess.run(
            [GITML, *args],
            cwd=self.path / cwd,
            env={**self.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LONGEST,
            check=False,
        )
        return ended(args, done.returncode, done.stdout, done.stderr, code)

    def repro(self, *args: str, code: int | None = 0, environ: Mapping[str, str] | None = None) -> Called:
        """Run `gitml repro --json`."""
        return self.gitml("repro", "--json", *args, code=code, environ=environ)

    def states(self, *names: str) -> dict[str, str]:
        """What `gitml status` says of each step."""
        found = json.loads(self.gitml("status", "--json", *names).stdout)
        return {row["step"]: row["state"] for row in found["steps"]}

    def start(self, *args: str, environ: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start `gitml` and go on; `finish` waits for it."""
        return subprocess.Popen(
            [GITML, *args],
            cwd=self.path,
            env={**self.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def worktree(self, path: Path, *args: str) -> Project:
        """Add a linked worktree; it shares the cache and `$RAN`."""
        return Project(self.repo.worktree(path, *args), self.ran_log)

    @property
    def machine(self) -> Path:
        """The folder of gitml's machine state, `$GIT_DIR/gitml`."""
        return Path(self.repo.git("rev-parse", "--absolute-git-dir")) / "gitml"

    @property
    def cache(self) -> Path:
        """The folder of the cache, shared by linked worktrees."""
        common = self.repo.git("rev-parse", "--path-format=absolute", "--git-common-dir")
        return Path(common) / "gitml" / "cache"


def finish(process: subprocess.Popen[bytes], *, code: int | None = 0) -> Called:
    """Wait for a call that was started."""
    stdout, stderr = process.communicate(timeout=LONGEST)
    assert isinstance(process.args, list)
    return ended(tuple(process.args[1:]), process.returncode, stdout, stderr, code)


def ended(args: tuple[str, ...], returned: int, stdout: bytes, stderr: bytes, code: int | None) -> Called:
    """Put the end of a call into a value, after the checks that hold for every call."""
    called = Called(args=args, code=returned, stdout=stdout.decode(), stderr=stderr.decode())
    shown = f"gitml {' '.join(args)} -> {returned}\n{called.stdout}\n{called.stderr}"
    assert "Traceback" not in called.stdout + called.stderr, shown
    assert code is None or returned == code, shown
    return called


def new_project(folder: Path, manifest: str, **files: str) -> Project:
    """Make a repository below `folder` with a declaration and files (`__` in a name stands for `/`), committed."""
    repo = new_repo(folder / "project", environ=isolated_environ(folder / "home"))
    project = Project(repo, folder / "ran.log")
    project.write("gitml.toml", manifest)
    for name, text in files.items():
        project.write(name.replace("__", "/"), text)
    project.commit("start")
    return project


def wait_until(true: Callable[[], bool], *, what: str, seconds: float = 20.0) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds:g} s in vain until {what}"
        time.sleep(0.01)


def listing(root: Path, *, without: tuple[str, ...] = ()) -> dict[str, tuple[int, bytes]]:
    """Everything below a folder, by path: mode and bytes (of a link: its text), but paths that begin with `without`."""
    found: dict[str, tuple[int, bytes]] = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            full = os.path.join(folder, name)
            path = os.path.relpath(full, root)
            if path.startswith(without):
                continue
            mode = os.lstat(full).st_mode
            if os.path.islink(full):
                found[path] = (mode, os.fsencode(os.readlink(full)))
            else:
                found[path] = (mode, b"" if os.path.isdir(full) else Path(full).read_bytes())
    return found
