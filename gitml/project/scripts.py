"""Find what looks like the steps of a pipeline: scripts that somebody starts by hand."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from gitml.project.guess import Guess, guess_files

_MAIN = re.compile(rb"^if\s+\(?__name__\s*==\s*[\"']__main__[\"']", re.MULTILINE)
_COMMAND_LINE = re.compile(rb"^(?:import|from)\s+(?:argparse|click|typer|fire|hydra|tyro)\b", re.MULTILINE)
_STARTS = re.compile(
    rb"^(?:@\w+(?:\.\w+)*\.?(?:command|main|group)\b|[^\s#].*(?:parse_args|Fire|typer\.run|cli)\()", re.MULTILINE
)
_NOT_STEPS = re.compile(r"test_.*|.*_test|conftest|setup|noxfile|fabfile|tasks|manage|__init__|versioneer")
_NOT_FOLDER = re.compile(r"\..*|tests?|docs?|build|dist|v?env|node_modules|site-packages|third_party|vendor")
_NOT_SHELL = re.compile(r"(?:install|setup|bootstrap|ci|lint|format|test|entrypoint|deploy).*")
_BASH = re.compile(rb"#!.*\bbash\b")
_LARGEST = 1 << 20
_USUAL = (
    "download fetch get prepare prep process clean split feature build train fit tune eval test predict plot report"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Script:
    """A script, the command that starts it, a name for its step, and what it seems to read and write."""

    path: str
    command: str
    name: str
    guess: Guess


def find_scripts(root: str, files: Collection[str]) -> list[Script]:
    """Pick scripts among the files that Git holds or would add, in the order in which pipelines usually run.

    Python files that are started (`__main__`, a command line of their own) and shell scripts; tests, hidden folders and
    what sets up the machine are left out.
    """
    found = []
    for path in sorted(files):
        command = _command(root, path, files) if _may_be_step(path) else None
        if command is not None:
            found.append((path, command))
    names = _names([path for path, _ in found])
    scripts = [
        Script(path=path, command=command, name=names[path], guess=_guess(root, path)) for path, command in found
    ]
    return sorted(scripts, key=lambda script: (_rank(script.name), script.path))


def _may_be_step(path: str) -> bool:
    *folders, name = path.split("/")
    stem = name.rpartition(".")[0]
    if any(_NOT_FOLDER.fullmatch(folder) for folder in folders) or not path.isprintable() or "$" in path:
        return False
    if name.endswith(".py"):
        return not _NOT_STEPS.fullmatch(stem)
    return name.endswith(".sh") and not _NOT_SHELL.fullmatch(stem)


def _command(root: str, path: str, files: Collection[str]) -> str | None:
    data = _read(root, path)
    if path.endswith(".sh"):
        return f"{'bash' if _BASH.match(data) else 'sh'} {shlex.quote(path)}"
    is_main = path.endswith("/__main__.py")
    if not (is_main or _MAIN.search(data) or (_COMMAND_LINE.search(data) and _STARTS.search(data))):
        return None
    return _python(path, files)


def _python(path: str, files: Collection[str]) -> str:
    """Start a module of a package as one, so that its relative imports work."""
    folder = path.rpartition("/")[0]
    while folder and f"{folder}/__init__.py" in files:
        folder = folder.rpartition("/")[0]
    inner = path.removeprefix(folder + "/" if folder else "").removesuffix(".py").removesuffix("/__main__")
    is_package = "/" in inner or path.endswith("/__main__.py")
    if folder not in ("", "src") or not is_package or not all(part.isidentifier() for part in inner.split("/")):
        return f"python {shlex.quote(path)}"
    return f"{'PYTHONPATH=src ' if folder else ''}python -m {inner.replace('/', '.')}"


def _guess(root: str, path: str) -> Guess:
    return guess_files(_read(root, path)) if path.endswith(".py") else Guess()


def _names(paths: Iterable[str]) -> dict[str, str]:
    """Name each script by its file, with folders before it where that is taken."""
    given: dict[str, str] = {}
    for path in paths:
        name = next((name for name in _candidates(path) if name not in given.values()), None)
        given[path] = name if name is not None else f"step{len(given)}"
    return given


def _candidates(path: str) -> Iterator[str]:
    parts = re.sub(r"(?:/__main__)?\.(?:py|sh)\Z", "", path).split("/")
    for count in range(1, len(parts) + 1):
        name = re.sub(r"[^A-Za-z0-9_-]", "_", "-".join(parts[-count:])).strip("-")
        if name:
            yield name


def _rank(name: str) -> int:
    words = _USUAL.split()
    return next((rank for rank, word in enumerate(words) if word in name.lower()), len(words))


def _read(root: str, path: str) -> bytes:
    try:
        with open(os.path.join(root, path), "rb") as file:
            return file.read(_LARGEST)
    except (FileNotFoundError, IsADirectoryError):  # deleted, but still in the index; or a submodule
        return b""
