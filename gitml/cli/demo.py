"""`gitml demo`: a complete small project to try gitml on, offline."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

import click

from gitml.errors import UsageError
from gitml.git.command import GitError, run_git

PROJECT = Path(__file__).resolve().parent.parent / "demo"

HISTORY = (
    ("Add 178 wines, with their source and licence", ("data",)),
    ("Tell three cultivators apart with a small network", ("wine", ".gitignore")),
    ("Declare the steps and their parameters", ("gitml.toml", "params.toml", "README.md")),
)
"""The commits of the project, oldest first: subject, and what each adds."""

_NOBODY = {
    "GIT_AUTHOR_NAME": "gitml demo",
    "GIT_AUTHOR_EMAIL": "demo@gitml.invalid",
    "GIT_COMMITTER_NAME": "gitml demo",
    "GIT_COMMITTER_EMAIL": "demo@gitml.invalid",
}
# The user's own hooks and signing key are for the user's own commits.
_PLAIN = ("-c", "commit.gpgSign=false", "-c", f"core.hooksPath={os.devnull}")


@click.command("demo")
@click.argument("folder", metavar="[DIR]", default="gitml-demo", type=click.Path())
def command(folder: str) -> None:
    """Write a complete example project into DIR (default: gitml-demo).

    It trains and tests small neural networks on real data in seconds, with the standard library alone.
    """
    _refuse_used(folder)
    run_git(("init", "-q", "--", folder), cwd=os.getcwd(), environ=os.environ)
    write_project(folder)
    commit_project(folder, os.environ)
    click.echo(f"Wrote a project with real data and its own Git history to {folder}. Try:\n")
    for line in (f"cd {shlex.quote(folder)}", "gitml repro", "gitml graph"):
        click.echo(f"  {line}")


def write_project(folder: str) -> None:
    """Copy the shipped files into a folder, with the permissions that new files get."""
    for source in sorted(PROJECT.rglob("*")):
        if source.is_file() and not any(part.endswith(("__pycache__", "_cache")) for part in source.parts):
            target = Path(folder, source.relative_to(PROJECT))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)  # not `copy`: a package manager may have made ours read-only


def commit_project(folder: str, environ: Mapping[str, str]) -> None:
    """Commit the files as `HISTORY` says, in the user's name if Git knows it."""
    identity = {} if _has_identity(folder, environ) else _NOBODY
    for subject, paths in HISTORY:
        # By force: a user's global ignore file may well name `data`.
        run_git(("add", "--force", "--", *paths), cwd=folder, environ=environ)
        run_git((*_PLAIN, "commit", "-q", "-m", subject), cwd=folder, environ=environ, env=identity)


def _has_identity(folder: str, environ: Mapping[str, str]) -> bool:
    # Without `useConfigOnly` Git would make up an address from the host's name.
    try:
        for name in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"):
            run_git(("-c", "user.useConfigOnly=true", "var", name), cwd=folder, environ=environ)
    except GitError:
        return False
    return True


def _refuse_used(folder: str) -> None:
    if os.path.isdir(folder):
        if os.listdir(folder):
            raise UsageError(f"{folder} is not empty", hint="name a new folder: gitml demo another-folder")
    elif os.path.lexists(folder):
        raise UsageError(f"{folder} is not a folder", hint="name a new folder: gitml demo another-folder")
