"""The bytes that Git stores for a file, where they differ from those in the worktree.

Line ends, `ident`, `working-tree-encoding` and clean filters (Git LFS among them) change a file on its way into Git.
A Git-held file is digested as Git stores it, so that worktree, index and commit give the same digest.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gitml.git.command import Git, GitError
from gitml.git.index import HeldFiles, join_names
from gitml.git.scratch import scratch_index, update_index
from gitml.git.settings import attributes_files, read_settings
from gitml.model.path import parents

_TEXT = ("text", "eol", "crlf")
_REWRITES = ("ident", "filter", "working-tree-encoding")
_MAY_CONVERT = re.compile(rb"text|eol|crlf|ident|filter|working-tree-encoding")
_ABSENT = ("unspecified", "unset")


class FileModes(NamedTuple):
    """Whether the worktree tells executables (`core.fileMode`) and symlinks (`core.symlinks`); else the index does."""

    executable: bool
    symlinks: bool


def file_modes(git: Git) -> FileModes:
    """Tell what the worktree's modes are worth; no process unless the configuration contradicts itself."""
    settings = read_settings(git)

    def flag(name: str) -> bool:
        known = settings.flag(name, default=True)
        return known if known is not None else git.run("config", "--type=bool", "--get", name) == b"true\n"

    return FileModes(executable=flag("core.filemode"), symlinks=flag("core.symlinks"))


def conversion_possible(files: HeldFiles, paths: Iterable[str]) -> bool:
    """Tell, without a process, whether Git may store other bytes for any of the paths; False is certain.

    Looked at are `core.autocrlf` and every attributes file that Git would look at: in the folders from the top of the
    worktree to each path, in the repository, and the user's and the system's.
    """
    git = files.git
    settings = read_settings(git)
    if settings.flag("core.autocrlf", default=False) is not False:
        return True
    if any("core.attributesfile" in text.lower() for text in settings.given):
        return True
    if any(_mentions_conversion(path) for path in attributes_files(git, settings)):
        return True
    folders = {folder for path in paths for folder in parents(files.in_worktree(path))}
    return any(_folder_converts(files, folder) for folder in ("", *folders))


def converted(files: HeldFiles, paths: Iterable[str]) -> dict[str, bytes]:
    """Give what Git would store for those regular files among `paths` that may not be stored as they are.

    The answer is `git add`'s, with what follows from that: a file that the index vouches for by its stat is what the
    index says; a missing optional filter changes nothing. Nothing is written to the repository's object database.
    Paths that are absent from the answer are stored as they are. It takes four processes whatever the number of paths.

    Raises:
        GitError: A clean filter that is required failed or is missing.
    """
    names = {files.in_worktree(path): path for path in paths if _is_file(files.git, files.in_worktree(path))}
    chosen = _to_convert(files.git, list(names))
    if not chosen:
        return {}
    with scratch_index(files.git, own_objects=True) as env:
        try:
            update_index(files.git, chosen, env)
        except GitError as error:
            hint = "install the program that the filter in .gitattributes needs (for Git LFS: git lfs install)"
            raise GitError("add", error.exit_status, error.stderr, hint=hint) from error
        oids = _oids(files.git, set(chosen), env)
        blobs = _blobs(files.git, list(dict.fromkeys(oids.values())), env)
    return {names[name]: blobs[oid] for name, oid in oids.items()}


def _folder_converts(files: HeldFiles, folder: str) -> bool:
    name = f"{folder}/.gitattributes" if folder else ".gitattributes"
    path = os.path.join(files.git.worktree, name)
    if os.path.lexists(path):
        return _mentions_conversion(path)
    # Git falls back on the index where the file was deleted or left out by a sparse checkout.
    inside = name.startswith(files.prefix) and files.is_held(name[len(files.prefix) :])
    return inside or name in files.attributes_above


def _mentions_conversion(attributes_file: str) -> bool:
    try:
        with open(attributes_file, "rb") as file:
            return _MAY_CONVERT.search(file.read()) is not None
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # a symlink loop, a folder, no permission: Git knows what it makes of that


def _to_convert(git: Git, names: list[str]) -> list[str]:
    if not names:
        return []
    everywhere = read_settings(git).flag("core.autocrlf", default=False) is not False
    out = git.run("check-attr", "-z", "--stdin", *_TEXT, *_REWRITES, input=join_names(names))
    fields = os.fsdecode(out).split("\0")[:-1]
    attributes: dict[str, dict[str, str]] = {}
    for name, attribute, value in zip(fields[::3], fields[1::3], fields[2::3], strict=True):
        attributes.setdefault(name, {})[attribute] = value
    return [name for name, found in attributes.items() if _converts(git, name, found, everywhere)]


def _converts(git: Git, name: str, found: Mapping[str, str], everywhere: bool) -> bool:
    if any(found[attribute] not in _ABSENT for attribute in _REWRITES):
        return True
    if found["text"] == "unset":
        return False
    as_text = everywhere or any(found[attribute] not in _ABSENT for attribute in _TEXT)
    # On its way in, text only ever loses CRs. Most files under `* text=auto` have none and need no Git.
    return as_text and _has_cr(os.path.join(git.worktree, name))


def _has_cr(path: str) -> bool:
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            if b"\r" in chunk:
                return True
    return False


def _is_file(git: Git, name: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(os.path.join(git.worktree, name)).st_mode)
    except OSError:
        return False


def _oids(git: Git, names: set[str], env: Mapping[str, str]) -> dict[str, str]:
    rows = os.fsdecode(git.run("ls-files", "-s", "-z", env=env)).split("\0")[:-1]
    entries = (row.partition("\t") for row in rows)
    return {name: meta.split(" ")[1] for meta, _, name in entries if name in names}


def _blobs(git: Git, oids: list[str], env: Mapping[str, str]) -> dict[str, bytes]:
    out = git.run("cat-file", "--batch", input="".join(f"{oid}\n" for oid in oids).encode(), env=env)
    blobs: dict[str, bytes] = {}
    at = 0
    for oid in oids:
        end = out.index(b"\n", at)
        size = int(out[at:end].split(b" ")[2])
        blobs[oid] = out[end + 1 : end + 1 + size]
        at = end + 1 + size + 1
    return blobs
