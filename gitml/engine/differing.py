"""What differs between a folder of data in the worktree and a tree in the store, folder by folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from gitml.errors import DamagedError
from gitml.hashing.folderrow import RAW, SIGNATURE, FolderRow, numbers_of
from gitml.hashing.folders import FolderCache
from gitml.model.digest import Digest
from gitml.model.tree import DEEPEST, TreeError, decode_rows
from gitml.store.objects import ObjectStore


class Stands(NamedTuple):
    """A file or link as it stands in the worktree: name, kind byte, raw digest, packed signature."""

    name: bytes
    kind: bytes
    digest: bytes
    stat: bytes


class Wants(NamedTuple):
    """A file or link as it should stand."""

    name: bytes
    kind: bytes
    size: int
    digest: bytes


class Difference(NamedTuple):
    """What is to be done in one folder, `path` (from the root).

    `write`: what should stand, with what stands there now (None: nothing does, or a folder that is in `drop`).
    `delete`: what should not be there. `build`: folders that are missing, with the raw digests of their trees. `drop`:
    folders that should not be there.
    """

    path: str
    write: Sequence[tuple[Wants, Stands | None]]
    delete: Sequence[Stands]
    build: Sequence[tuple[bytes, bytes]]
    drop: Sequence[bytes]

    def below(self, name: bytes) -> str:
        """Give the path of a member."""
        return f"{self.path}/{os.fsdecode(name)}"


def differences(
    folders: FolderCache, objects: ObjectStore, rows: Mapping[str, FolderRow], path: str, tree: Digest
) -> Iterator[Difference]:
    """Compare the folder at `path`, as a scan has just seen it, with a tree; gives folders that differ, parents first.

    What is equal is not opened; of what differs, one folder at a time is in memory.

    Raises:
        DamagedError: A tree is missing, damaged, or nested too deep.
    """
    waiting = [(path, tree.raw)]
    while waiting:
        here, raw = waiting.pop()
        row = rows[here]
        if row.tree == raw:
            continue
        if here.count("/") > 2 * DEEPEST:
            raise DamagedError(f"object {tree} is nested deeper than {DEEPEST} folders")
        files, inside = _wanted(objects, raw)
        found = _compare(here, files, inside, list(standing(folders, here, row)), row)
        yield found
        kept = {folder.name for folder in row.folders} & inside.keys()
        waiting.extend((found.below(name), inside[name]) for name in kept)


def standing(folders: FolderCache, path: str, row: FolderRow) -> Iterator[Stands]:
    """Give the files of a folder as a scan has just seen them.

    Raises:
        DamagedError: The state database has lost them meanwhile.
    """
    files, contents = folders.files(path, row), folders.contents(path, row)
    if files is None or contents is None:
        raise DamagedError(f"what is known of {path} was changed by another process", hint="try again")
    for n, name in enumerate(files.names):
        stat = files.stats[n * SIGNATURE.size : (n + 1) * SIGNATURE.size]
        yield Stands(name, contents.kinds[n : n + 1], contents.digests[n * RAW : (n + 1) * RAW], stat)


def mtime_and_inode(stat: bytes) -> tuple[int, int, int]:
    """Give what a rename or a new name leaves of a signature: size, mtime_ns, inode."""
    numbers = numbers_of(stat)
    return numbers[0], numbers[1], numbers[3]


def _wanted(objects: ObjectStore, raw: bytes) -> tuple[list[Wants], dict[bytes, bytes]]:
    try:
        rows = decode_rows(objects.read(Digest.from_raw(raw)))
    except TreeError as error:
        raise DamagedError(f"object {Digest.from_raw(raw)}: {error}") from error
    files = [Wants(name, kind, size, digest) for name, kind, size, digest in rows if kind != b"d"]
    return files, {name: digest for name, kind, _, digest in rows if kind == b"d"}


def _compare(
    path: str, wanted: Sequence[Wants], inside: Mapping[bytes, bytes], present: Sequence[Stands], row: FolderRow
) -> Difference:
    stands = {one.name: one for one in present}
    there = {folder.name for folder in row.folders}
    names = {one.name for one in wanted}
    write = []
    for one in wanted:
        now = stands.get(one.name)
        if now is None or (now.kind, now.digest) != (one.kind, one.digest):
            write.append((one, now))
    return Difference(
        path=path,
        write=write,
        delete=[one for one in present if one.name not in names],
        build=[(name, raw) for name, raw in inside.items() if name not in there],
        drop=sorted(there - inside.keys()),
    )
