"""Remember folders that gitml wrote itself, so that the next look at them reads no file.

What was written under a name that nobody else knew, and renamed into place, holds what was written: its stat, taken
after the rename of its folder or of itself, may be trusted once the file system's clock has gone on. (Git's index does
the same with what it checks out.)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import NamedTuple

from gitml.hashing.folderrow import (
    HERE,
    JUNK,
    LINKS,
    Contents,
    Files,
    Member,
    Stored,
    encode_row,
    has_links,
    newest_of,
    numbers_of,
    row_of,
)
from gitml.hashing.folders import FolderCache

_WAIT_FROM = 256


class Written(NamedTuple):
    """One folder as it was written: all that is in it. Names are sorted, the rest is in their order.

    `own`: the folder's signature after its last change; `stats`: those of the files and links (see `pack_stat`);
    `tree`: the raw digest of its tree object.
    """

    path: str
    own: bytes
    folders: tuple[Member, ...]
    names: tuple[bytes, ...]
    stats: bytes
    contents: Contents
    tree: bytes


def remember_written(cache: FolderCache, written: Iterable[Written], *, is_junk: Callable[[str], bool]) -> None:
    """Write rows. Where it is about many files, a tick of the file system's clock is waited out first.

    Then the stats of just now can be trusted; a few files are read once more sooner than that takes.
    """
    written = list(written)
    moment = cache.clock.now_ns()
    if sum(len(one.names) for one in written) < _WAIT_FROM:
        moment -= 1
    else:
        while 0 < cache.clock.now_ns() <= moment:
            pass
    cache.store((_encoded(one, is_junk, moment) for one in written), forget=())


def _encoded(written: Written, is_junk: Callable[[str], bool], moment: int) -> tuple[str, Stored]:
    names = (*(folder.name for folder in written.folders), *written.names)
    flags = JUNK << HERE | JUNK if any(is_junk(os.fsdecode(name)) for name in names) else 0
    flags |= LINKS << HERE | LINKS if has_links(written.stats) else 0
    files = Files(written.names, written.stats)
    row = row_of(flags, written.own, written.folders, files, written.contents)._replace(tree=written.tree)
    numbers = numbers_of(written.stats)
    young = [n for n in range(len(written.names)) if max(numbers[n * 5 + 1], numbers[n * 5 + 2]) > moment]
    trust_own = newest_of(b"", written.own) <= moment
    return written.path, encode_row(row, written.contents, untrusted=young, trust_own=trust_own)
