"""The marked block in `info/exclude` that keeps outputs and sources out of `git status`.

    # >>> gitml <project> >>>
    /models/0.pt
    # <<< gitml <project> <<<

`<project>` is the project's folder as a JSON string, `"."` for the top of the repository. Linked worktrees share the
file, though their branches may declare different outputs: Git has no ignore file of a worktree's own. So each worktree
has a block for each of its projects, and in the blocks of linked ones the worktree's name in `.git/worktrees` follows
the project. What is ignored is the union. The alternative, one block that the last worktree to run rewrites, would
show one worktree's models as untracked, one `git add -A` from being committed, whenever another one had run; the union
at worst hides a new file that has the name of an output elsewhere. A block goes with its worktree: the next update
after `git worktree remove` drops it.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from gitml.git.repository import Repository

_BEGIN = re.compile(rb'# >>> gitml ("(?:[^"\\]|\\.)*")(?: ([^ ]+))? >>>\r?\n?\Z')
_SPECIAL = frozenset(b"\\*?[")


def update_exclude(repo: Repository, paths: Iterable[str], project_prefix: str) -> bool:
    """Make this worktree's block for the project name exactly `paths`; tell whether the file changed.

    `paths` are relative to the project, `project_prefix` is the project's folder in the worktree ("" or "." for its
    top). Without paths there is no block. The user's own lines stay as they are, to the byte. A crash leaves the old
    file or the new one.
    """
    prefix = "" if project_prefix in ("", ".") else project_prefix.rstrip("/") + "/"
    label = _label(repo, prefix)
    block = _block(label, sorted({_pattern(prefix + path) for path in paths}))
    info = os.path.join(repo.common_dir, "info")
    exclude = os.path.join(info, "exclude")
    if _with_block(_read(exclude), repo, label, block) is None:
        return False
    os.makedirs(info, exist_ok=True)
    with _alone(repo):
        text = _with_block(_read(exclude), repo, label, block)
        if text is not None:
            _replace(exclude, text)
    return True


def _with_block(text: bytes, repo: Repository, label: bytes, block: bytes) -> bytes | None:
    """Give the new text of the file; None: it is as it should be."""
    lines = text.splitlines(keepends=True)
    kept: list[bytes] = []
    place: int | None = None
    at = 0
    while at < len(lines):
        match = _BEGIN.match(lines[at])
        end = _end(lines, at, match) if match else None
        if match is None or end is None:
            kept.append(lines[at])
            at += 1
            continue
        if lines[at].rstrip(b"\r\n") == _marker(b">>>", label):
            place = len(kept) if place is None else place
        elif _is_alive(repo, match.group(2)):
            kept += lines[at : end + 1]
        at = end + 1
    if block:
        place = len(kept) if place is None else place
        if place and not kept[place - 1].endswith(b"\n"):
            kept[place - 1] += b"\n"
        kept.insert(place, block)
    new = b"".join(kept)
    return None if new == text else new


def _end(lines: list[bytes], start: int, match: re.Match[bytes]) -> int | None:
    """Find the end of a block; a marker without its end is taken for a line of the user's."""
    worktree = match.group(2)
    wanted = _marker(b"<<<", match.group(1) + (b" " + worktree if worktree else b""))
    for at in range(start + 1, len(lines)):
        if lines[at].rstrip(b"\r\n") == wanted:
            return at
        if _BEGIN.match(lines[at]):
            return None
    return None


def _is_alive(repo: Repository, worktree: bytes | None) -> bool:
    return worktree is None or os.path.isdir(os.path.join(repo.common_dir, "worktrees", os.fsdecode(worktree)))


def _label(repo: Repository, prefix: str) -> bytes:
    project = json.dumps(prefix.rstrip("/") or ".").encode()
    if repo.git_dir == repo.common_dir:
        return project
    return project + b" " + os.fsencode(os.path.basename(repo.git_dir))


def _marker(arrows: bytes, label: bytes) -> bytes:
    return b"# " + arrows + b" gitml " + label + b" " + arrows


def _block(label: bytes, patterns: list[bytes]) -> bytes:
    if not patterns:
        return b""
    return b"".join(line + b"\n" for line in (_marker(b">>>", label), *patterns, _marker(b"<<<", label)))


def _pattern(path: str) -> bytes:
    """Write a pattern for one path: anchored, so that a leading `#` or `!` means nothing.

    A line cannot hold a line end, and loses a CR and spaces at its end: `?` stands for the first two, which matches
    them and any other single character.
    """
    raw = os.fsencode(path)
    text = b"".join(b"\\" + bytes((c,)) if c in _SPECIAL else b"?" if c in b"\r\n" else bytes((c,)) for c in raw)
    name = text.rstrip(b" ")
    return b"/" + name + b"\\ " * (len(text) - len(name))


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


@contextmanager
def _alone(repo: Repository) -> Iterator[None]:
    """Keep two worktrees from overwriting each other's block; the lock falls with the process."""
    folder = os.path.join(repo.common_dir, "gitml")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "exclude.lock"), "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _replace(path: str, text: bytes) -> None:
    target = os.path.realpath(path)  # a symlink to a file that is shared otherwise stays one
    descriptor, temporary = tempfile.mkstemp(prefix=".exclude-", dir=os.path.dirname(target))
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            os.fchmod(file.fileno(), _mode(target))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def _mode(path: str) -> int:
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        return 0o644
