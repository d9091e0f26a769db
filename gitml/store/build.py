"""Build a folder from its tree: as fast as the file system makes files, in as many processes as there are CPUs.

The folder stands under a name that nobody else uses until it is whole, so its files need no names of their own before
they have theirs. Small objects are read from packs in the order in which they lie there, 512 files at a time; each is
checked against its digest before it is written. Measured for 100,000 files of 4.5 KB: `cp -r` 4.9 s, here 2.6 s.
"""

from __future__ import annotations

import contextlib
import os
import unicodedata
from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import xxhash

from gitml.errors import DamagedError, UsageError
from gitml.hashing.folderrow import RAW, SIGNATURE, XXH3, Contents, Member, pack_stat
from gitml.hashing.meter import Meter
from gitml.hashing.opening import FOLDER, open_folder
from gitml.hashing.spread import spread, usable_cpus
from gitml.hashing.written import Written
from gitml.model.digest import Digest
from gitml.model.tree import DEEPEST, TreeError, decode_rows
from gitml.store.objects import ObjectStore
from gitml.store.packer import SMALL
from gitml.store.place import check_link, place_file

_BATCH = 512
_SPREAD_FROM = 1024


class Planned(NamedTuple):
    """One folder to be made, by its path below the top: names sorted, kinds and raw digests packed in their order."""

    path: str
    tree: bytes
    names: tuple[bytes, ...]
    kinds: bytes
    sizes: array[int]
    digests: bytes
    folders: tuple[tuple[bytes, int, bytes], ...]

    @property
    def total(self) -> int:
        """Bytes of the files right in it."""
        return sum(self.sizes)

    def raw(self, number: int) -> bytes:
        """Give the raw digest of a file."""
        return self.digests[number * RAW : (number + 1) * RAW]

    def below(self, name: bytes) -> str:
        """Give the path of a member."""
        return os.fsdecode(name) if self.path == "." else f"{self.path}/{os.fsdecode(name)}"


class Building(NamedTuple):
    """What building takes from: the store, and the kinds of links that files may be, in order of preference."""

    objects: ObjectStore
    links: Sequence[str]
    meter: Meter


def plan(objects: ObjectStore, tree: Digest) -> list[Planned]:
    """Read a tree and all trees below it, parents first.

    Raises:
        DamagedError: One is missing, damaged, no tree, or nested too deep.
    """
    found: list[Planned] = []
    waiting = [(".", tree.raw)]
    while waiting:
        path, raw = waiting.pop()
        if path.count("/") > DEEPEST:
            raise DamagedError(f"object {tree} is nested deeper than {DEEPEST} folders")
        planned = _planned(path, raw, objects.read(Digest.from_raw(raw)))
        found.append(planned)
        waiting.extend((planned.below(name), below) for name, _, below in planned.folders)
    return found


def build(building: Building, planned: Sequence[Planned], parent: int, name: str, path: str) -> list[Written]:
    """Make the folder `name` in the open folder `parent`, where nothing stands; `path`: where it will be, for messages.

    Gives what was written, for the stat cache: by path from the folder (`.`: itself), children first; its own signature
    is to be taken again when it has its place.

    Raises:
        DamagedError: An object is missing or damaged, or a link leads outside the project.
        UsageError: Names collide on this file system.
        OSError: It cannot be written.
    """
    os.mkdir(name, dir_fd=parent)
    top = os.open(name, FOLDER, dir_fd=parent)
    try:
        _refuse_collisions(top, planned, path)
        for folder in planned:
            _make_folders(top, folder)
        taken = _write_all(building, planned, top, path)
        return list(_written(top, planned, taken))
    finally:
        os.close(top)


def _planned(path: str, raw: bytes, data: bytes) -> Planned:
    try:
        rows = decode_rows(data)
    except TreeError as error:
        raise DamagedError(f"object {Digest.from_raw(raw)}: {error}") from error
    files = [row for row in rows if row[1] != b"d"]
    return Planned(
        path=path,
        tree=raw,
        names=tuple(row[0] for row in files),
        kinds=b"".join([row[1] for row in files]),
        sizes=array("q", [row[2] for row in files]),
        digests=b"".join([row[3] for row in files]),
        folders=tuple((row[0], row[2], row[3]) for row in rows if row[1] == b"d"),
    )


def _make_folders(top: int, folder: Planned) -> None:
    if folder.folders:
        descriptor = open_folder(top, folder.path)
        try:
            for name, _, _ in folder.folders:
                os.mkdir(name, dir_fd=descriptor)
        finally:
            os.close(descriptor)


def _write_all(building: Building, planned: Sequence[Planned], top: int, path: str) -> dict[tuple[int, int], bytes]:
    """Write the files of all folders; gives the frames of their batches by folder and first file."""
    items = [
        (number, start, min(start + _BATCH, len(folder.names)))
        for number, folder in enumerate(planned)
        for start in range(0, len(folder.names), _BATCH)
    ]
    total = sum(len(folder.names) for folder in planned)
    building.meter.phase("writing", files=total, size=sum(folder.total for folder in planned))
    processes = usable_cpus() if total >= _SPREAD_FROM else 1
    frames = {}
    work = spread(items, lambda: _Writing(building, planned, top, path), processes=processes)
    with contextlib.closing(work):
        for index, frame in work:
            if index >= 0:
                number, start, stop = items[index]
                frames[number, start] = frame
                building.meter.advance(stop - start, sum(planned[number].sizes[start:stop]))
    return frames


class _Writing:
    """Writes a batch of a folder's files; gives their packed signatures, then their fingerprints."""

    def __init__(self, building: Building, planned: Sequence[Planned], top: int, path: str) -> None:
        self._building = building
        self._planned = planned
        self._top = top
        self._path = path

    def one(self, item: tuple[int, int, int]) -> bytes:
        number, start, stop = item
        folder = self._planned[number]
        stats: list[bytes] = [b""] * (stop - start)
        marks: list[bytes] = [b""] * (stop - start)
        wanted: dict[bytes, list[int]] = {}
        descriptor = open_folder(self._top, folder.path)
        try:
            for n in range(start, stop):
                if folder.sizes[n] <= SMALL:
                    wanted.setdefault(folder.raw(n), []).append(n)
                else:
                    stats[n - start], marks[n - start] = self._large(descriptor, folder, n)
            for raw, data in self._building.objects.fetch_many(wanted):
                mark = xxhash.xxh3_128_digest(data)
                for n in wanted[raw]:
                    stats[n - start], marks[n - start] = self._small(descriptor, folder, n, data), mark
        finally:
            os.close(descriptor)
        return b"".join((*stats, *marks))

    def end(self) -> bytes:
        return b""

    def _small(self, descriptor: int, folder: Planned, number: int, data: bytes) -> bytes:
        name, kind = folder.names[number], folder.kinds[number : number + 1]
        if kind == b"l":
            check_link(f"{self._path}/{folder.below(name)}", data)
            with _free(descriptor, name):
                os.symlink(data, name, dir_fd=descriptor)
            return pack_stat(os.stat(name, dir_fd=descriptor, follow_symlinks=False))
        target = _create(descriptor, name, executable=kind == b"x")
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(target, view) :]
            return pack_stat(os.fstat(target))
        finally:
            os.close(target)

    def _large(self, descriptor: int, folder: Planned, number: int) -> tuple[bytes, bytes]:
        name, raw = folder.names[number], folder.raw(number)
        is_executable = folder.kinds[number : number + 1] == b"x"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=descriptor)
        building = self._building
        mark = place_file(
            building.objects, building.links, Digest.from_raw(raw), descriptor, name, executable=is_executable
        )
        return pack_stat(os.stat(name, dir_fd=descriptor, follow_symlinks=False)), mark


def _create(descriptor: int, name: bytes, *, executable: bool) -> int:
    """Create a file; what a child left of it that did not finish is replaced."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    mode = 0o777 if executable else 0o666
    try:
        return os.open(name, flags, mode, dir_fd=descriptor)
    except FileExistsError:
        os.unlink(name, dir_fd=descriptor)
        return os.open(name, flags, mode, dir_fd=descriptor)


@contextlib.contextmanager
def _free(descriptor: int, name: bytes) -> Iterator[None]:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=descriptor)
    yield


def _written(top: int, planned: Sequence[Planned], frames: dict[tuple[int, int], bytes]) -> Iterator[Written]:
    """Put together what the stat cache wants to know, children first."""
    files: dict[str, int] = {}
    for number in range(len(planned) - 1, -1, -1):
        folder = planned[number]
        count = len(folder.names)
        files[folder.path] = count + sum(files[folder.below(name)] for name, _, _ in folder.folders)
        parts = [frames[number, start] for start in range(0, count, _BATCH)]
        lengths = [len(part) // (SIGNATURE.size + XXH3) for part in parts]
        stats = b"".join(part[: n * SIGNATURE.size] for part, n in zip(parts, lengths, strict=True))
        marks = b"".join(part[n * SIGNATURE.size :] for part, n in zip(parts, lengths, strict=True))
        descriptor = open_folder(top, folder.path)
        try:
            own = pack_stat(os.fstat(descriptor))
        finally:
            os.close(descriptor)
        yield Written(
            path=folder.path,
            own=own,
            folders=tuple(Member(name, 0, size, files[folder.below(name)], raw) for name, size, raw in folder.folders),
            names=folder.names,
            stats=stats,
            contents=Contents(folder.kinds, folder.sizes.tobytes(), marks, folder.digests),
            tree=folder.tree,
        )


def _refuse_collisions(top: int, planned: Sequence[Planned], path: str) -> None:
    """Refuse names that are one on a file system that folds case or Unicode form, where this is such a one."""
    for folder in planned:
        names = [os.fsdecode(name) for name in (*folder.names, *(name for name, _, _ in folder.folders))]
        seen: dict[str, str] = {}
        for name in names:
            other = seen.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
            if other != name and _is_one(top, other, name):
                where = path if folder.path == "." else f"{path}/{folder.path}"
                raise UsageError(
                    f"{where}: {other!r} and {name!r} are the same name on this file system",
                    hint="check it out on a file system that tells them apart",
                )


def _is_one(folder: int, name: str, other: str) -> bool:
    os.mkdir(name, dir_fd=folder)
    try:
        return _exists(folder, other)
    finally:
        os.rmdir(name, dir_fd=folder)


def _exists(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
