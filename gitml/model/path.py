"""Paths as gitml writes them: relative to the project, UTF-8, `/` between parts, never leaving it."""

from __future__ import annotations

import unicodedata

GLOB_CHARACTERS = frozenset("*?[")
_IGNORABLE = frozenset(
    "\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u206a\u206b\u206c\u206d\u206e\u206f\ufeff"
)


class PathError(ValueError):
    """A path breaks a rule; the text says which."""


def check_path(text: str) -> str:
    """Return a declared path in its one spelling (`./` and a trailing `/` dropped); `.` is the project itself.

    Raises:
        PathError: The path is empty, absolute, has `..`, a NUL or a backslash-free drive, or enters `.git` or
            `.gitml` in a spelling that some file system folds to them.
    """
    if not text:
        raise PathError("a path may not be empty")
    if "\0" in text:
        raise PathError("a path may not contain NUL")
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise PathError("a path may not contain half of a surrogate pair") from None
    if text.startswith("/"):
        raise PathError("an absolute path leaves the repository")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    for part in parts:
        if part == "..":
            raise PathError("a path may not contain '..'")
        check_name(part)
    return "/".join(parts) or "."


def check_name(name: str) -> None:
    """Refuse one component that would enter Git's or gitml's own folders.

    HFS+ ignores some code points and NTFS knows `.git` as `git~1` and with trailing dots or spaces (CVE-2014-9390);
    a project that is harmless here must be harmless there.

    Raises:
        PathError: The name is such a spelling.
    """
    if not name.isascii():
        name = "".join(c for c in unicodedata.normalize("NFKC", name) if c not in _IGNORABLE)
    folded = name.casefold().rstrip(". ").split(":")[0].rstrip(". ")
    if folded in (".git", "git~1", ".gitml", "gitml~1"):
        raise PathError(f"a path may not enter {'.gitml' if 'ml' in folded else '.git'}")


def is_glob(text: str) -> bool:
    """Tell whether a declared path is a pattern."""
    return not GLOB_CHARACTERS.isdisjoint(text)


def is_within(path: str, folder: str) -> bool:
    """Tell whether `path` is `folder` or lies below it."""
    return folder == "." or path == folder or path.startswith(folder + "/")


def parents(path: str) -> list[str]:
    """Name the folders that hold `path`, nearest first, without the project's own `.`."""
    found = []
    while "/" in path:
        path = path.rpartition("/")[0]
        found.append(path)
    return found
