"""Real repositories for tests, away from the user's own Git settings."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_KEPT = ("PATH", "TMPDIR", "LANG", "COVERAGE_PROCESS_START")


def isolated_environ(home: Path) -> dict[str, str]:
    """Give an environment in which Git reads no settings but those below `home`, and everyone is Ada."""
    home.mkdir(parents=True, exist_ok=True)
    environ = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {
        **environ,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Ada",
        "GIT_AUTHOR_EMAIL": "ada@example.org",
        "GIT_COMMITTER_NAME": "Ada",
        "GIT_COMMITTER_EMAIL": "ada@example.org",
        "GIT_AUTHOR_DATE": "@1700000000 +0100",
        "GIT_COMMITTER_DATE": "@1700000000 +0100",
    }


class Repo:
    """A repository in a temporary folder, driven by the real Git."""

    def __init__(self, path: Path, environ: dict[str, str]) -> None:
        self.path = path
        self.environ = environ

    def git(self, *args: str, input: bytes | None = None) -> str:
        """Run Git and give its output without the last newline; a failure fails the test with Git's words."""
        return os.fsdecode(self.raw(*args, input=input)).removesuffix("\n")

    def raw(self, *args: str, input: bytes | None = None) -> bytes:
        """Run Git and give its output."""
        done = subprocess.run(
            ["git", *args], cwd=self.path, env=self.environ, input=input, capture_output=True, check=False
        )
        assert done.returncode == 0, f"git {' '.join(args)}: {os.fsdecode(done.stderr)}"
        return done.stdout

    def write(self, path: str, data: str | bytes = "", *, executable: bool = False) -> Path:
        """Write a file of the worktree, with its parents."""
        target = self.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data if isinstance(data, bytes) else os.fsencode(data))
        if executable:
            target.chmod(0o755)
        return target

    def commit(self, message: str = "change") -> str:
        """Add everything that is not ignored, commit it and give the commit's id."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def worktree(self, path: Path, *args: str) -> Repo:
        """Add a linked worktree."""
        self.git("worktree", "add", "-q", str(path), *args)
        return Repo(path, self.environ)


def new_repo(folder: Path, *init_args: str, environ: dict[str, str] | None = None) -> Repo:
    """Make an empty repository on branch `main` at `folder`, with its home folder beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    repo = Repo(folder.resolve(), environ or isolated_environ(folder.parent / "home"))
    repo.git("-c", "init.defaultBranch=main", "init", "-q", *init_args)
    return repo
