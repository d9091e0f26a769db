"""Take a folder and all below it, looking only at what is not known to be as it was.

A scan has three parts. First, folders are listed whose row is stale (names and kinds only: 0.5 us a file). Then what
is new in them is taken, 512 files at a time, in several processes where it is much (an `open`, a `read`, two `stat` and
two hashes: 15 us a file, bound by the interpreter). Last, trees are made from the bottom up, of the folders that
changed and those above them. What is kept of a file between the parts is packed bytes.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from gitml.hashing.file import ChangedWhileReadError
from gitml.hashing.folderrow import (
    HERE,
    JUNK,
    LINKS,
    RAW,
    SIGNATURE,
    SIZE,
    WITHOUT_JUNK,
    XXH3,
    Contents,
    Files,
    FolderRow,
    Member,
    Stored,
    encode_row,
    has_links,
    newest_of,
    numbers_of,
    pack_stat,
    row_of,
    tree_of,
)
from gitml.hashing.folders import FolderCache
from gitml.hashing.intake import Intake, Spot, Taken
from gitml.hashing.meter import Meter
from gitml.hashing.opening import open_folder
from gitml.hashing.spread import spread, usable_cpus
from gitml.hashing.tree import UnnameableError
from gitml.model.digest import Digest
from gitml.model.path import PathError, check_name, is_within, parents
from gitml.model.tree import DEEPEST, Entry, Kind

_SLICE = 512
_SPREAD_TAKING_FROM = 2_048
_SUSPECT = re.compile(rb"(?i)git|[^\x00-\x7f]")
"""What a name has that could be folded to one of Git's or gitml's own."""


class Scan(NamedTuple):
    """A folder as it was taken. `rows`: each folder in it, by path, with stats as they were.

    `young`: some file or folder was changed too recently for its stat to be trusted later.
    """

    entry: Entry
    rows: Mapping[str, FolderRow]
    young: bool

    @property
    def has_links(self) -> bool:
        """Tell whether there are symlinks in it."""
        return any(row.flags & LINKS << HERE for row in self.rows.values())

    def part(self, path: str) -> Scan:
        """Give what was seen of a folder in it."""
        row = self.rows[path]
        rows = {below: known for below, known in self.rows.items() if is_within(below, path)}
        return Scan(Entry(Kind.DIRECTORY, Digest.from_raw(row.tree), row.size, row.files), rows, self.young)


def links_in(cache: FolderCache, scan: Scan) -> Iterator[tuple[str, bytes]]:
    """Give the symlinks of a scan: the folder's path and the name; of a folder that has changed since none."""
    for path, row in scan.rows.items():
        files = cache.files(path, row) if row.flags & LINKS << HERE else None
        if files is not None:
            modes = numbers_of(files.stats)[4::5]
            yield from ((path, name) for name, mode in zip(files.names, modes, strict=True) if stat.S_ISLNK(mode))


class Scans:
    """Scans of one picture of the files: what a folder's scan has seen is not looked at again for a folder in it."""

    def __init__(self) -> None:
        self._known: dict[str, Scan] = {}

    def add(self, path: str, scan: Scan) -> None:
        """Remember a scan."""
        self._known[path] = scan

    def find(self, path: str) -> Scan | None:
        """Give the scan of a folder, or its part of the scan of one above it."""
        known = self._known.get(path)
        if known is not None:
            return known
        for above in (*parents(path), "."):
            scan = self._known.get(above)
            if scan is not None and path in scan.rows:
                return scan.part(path)
        return None


class Want(NamedTuple):
    """How to look. `is_junk` tells by its name what tools leave behind: left out, unless `keep_junk`.

    `keep_listed`: the rows are to hold their files, so that what changes later can be named whatever others remember.
    `intake` makes what takes the files, once in each process; `again`: also what is known must be taken (its bytes may
    not be in the store).
    """

    intake: Callable[[], Intake]
    meter: Meter
    is_junk: Callable[[str], bool]
    keep_junk: bool = False
    again: bool = False
    keep_listed: bool = False


class _ForgottenError(Exception):
    """What a row says of its files cannot be read."""


class Scanner:
    """Scans folders of one cache in one way."""

    def __init__(self, cache: FolderCache, want: Want) -> None:
        self._cache = cache
        self._want = want

    def scan(self, path: str) -> Scan:
        """Take the folder at `path` (relative to the root) without following a symlink in it.

        Raises:
            NotRegularError: A pipe, socket or device was met.
            UnnameableError: A name would enter `.git` or `.gitml`, or folders are nested too deep.
            ChangedWhileReadError: Something is written to, or vanishes, meanwhile.
            OSError: Something cannot be read.
        """
        rows = self._cache.rows(path)
        try:
            return self._scan(path, rows, self._cache.stale(rows))
        except _ForgottenError:  # half of what was remembered is damaged
            return self._scan(path, {}, set())

    def _scan(self, path: str, rows: Mapping[str, FolderRow], stale: set[str]) -> Scan:
        root = os.open(self._cache.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            found = self._walk(root, path, rows, stale)
            self._take(found)
            return self._finish(path, found, rows)
        finally:
            os.close(root)

    def _walk(self, root: int, top: str, rows: Mapping[str, FolderRow], stale: set[str]) -> list[Found]:
        """Visit every folder, parents first; list those that are not as they were."""
        visited, waiting = [], [top]
        while waiting:
            path = waiting.pop()
            row = rows.get(path)
            clean = row is not None and path not in stale and self._is_usable(row)
            known = None
            if row is not None and (self._want.again or not clean):
                known = self._known(path, row)
            found = Found(path, row, known, clean=clean and not (self._want.again and known is None))
            if not found.clean:
                self._list(root, found)
            visited.append(found)
            waiting.extend(found.below(name) for name in found.folders)
        return visited

    def _known(self, path: str, row: FolderRow) -> tuple[Files, Contents] | None:
        files, contents = self._cache.files(path, row), self._cache.contents(path, row)
        return None if files is None or contents is None else (files, contents)

    def _is_usable(self, row: FolderRow) -> bool:
        """Tell whether a row leaves out what is left out now."""
        return not row.flags & JUNK << HERE or bool(row.flags & WITHOUT_JUNK) != self._want.keep_junk

    def _list(self, root: int, found: Found) -> None:
        if found.path.count("/") > DEEPEST:
            raise UnnameableError(found.path, f"folders are nested deeper than {DEEPEST}")
        found.began = self._cache.clock.now_ns()
        try:
            folder = open_folder(root, found.path)
        except (FileNotFoundError, NotADirectoryError):
            raise ChangedWhileReadError(found.path) from None
        except OSError as error:
            raise OSError(error.errno, error.strerror, found.path) from None
        try:
            found.own = pack_stat(os.fstat(folder))
            with os.scandir(folder) as members:
                listed = [(os.fsencode(member.name), member.is_dir(follow_symlinks=False)) for member in members]
        finally:
            os.close(folder)
        want = self._want
        kept = [(name, is_folder) for name, is_folder in listed if not want.is_junk(os.fsdecode(name))]
        found.flags = JUNK << HERE | JUNK if len(kept) < len(listed) else 0
        if not want.keep_junk:
            found.flags |= WITHOUT_JUNK
            listed = kept
        listed.sort()
        found.names = [name for name, is_folder in listed if not is_folder]
        found.folders = [name for name, is_folder in listed if is_folder]
        _check_names(found)

    def _take(self, visited: Sequence[Found]) -> None:
        """Take the files of all folders that were listed, in several processes where they are many."""
        want = self._want
        wanted = [number for number, found in enumerate(visited) if want.again or not found.clean]
        items = [
            (number, start, min(start + _SLICE, len(visited[number].names)))
            for number in wanted
            for start in range(0, len(visited[number].names), _SLICE)
        ]
        total = sum(stop - start for _, start, stop in items)
        if not total:
            return
        want.meter.phase("reading", files=total)
        processes = usable_cpus() if total >= _SPREAD_TAKING_FROM else 1
        worker = lambda: _Taking(self._cache, want.intake(), visited)  # noqa: E731 - one for each process
        with contextlib.closing(spread(items, worker, processes=processes)) as work:
            for index, frame in work:
                if index >= 0:
                    number, start, stop = items[index]
                    visited[number].taken[start] = frame
                    want.meter.advance(stop - start, sum(numbers_of(frame[: (stop - start) * SIZE])))

    def _finish(self, top: str, visited: Sequence[Found], rows: Mapping[str, FolderRow]) -> Scan:
        """Make the trees from the bottom up, and remember what was learnt."""
        intake = self._want.intake()
        try:
            return self._trees(intake, top, visited, rows)
        except BaseException:
            intake.abandon()
            raise

    def _trees(self, intake: Intake, top: str, visited: Sequence[Found], rows: Mapping[str, FolderRow]) -> Scan:
        done: dict[str, FolderRow] = {}
        changed: list[tuple[str, Stored]] = []
        is_young = False
        for found in reversed(visited):
            members = tuple(_member(name, done[found.below(name)]) for name in found.folders)
            row = found.row
            if found.clean and row is not None and row.folders == members:
                if self._want.again and not intake.has_tree(row.tree):
                    intake.tree(tree_of(row, *self._remembered(found)))
                done[found.path] = row
                continue
            files, contents, young = self._taken(found)
            row = row_of(_flags(found, files), found.own, members, files, contents)
            row = row._replace(tree=intake.tree(tree_of(row, files, contents)))
            own_is_young = not found.clean and newest_of(b"", row.own) >= found.began
            is_young = is_young or bool(young) or own_is_young
            stored = encode_row(row, contents, untrusted=young, trust_own=not own_is_young)
            keep = self._want.keep_listed or young
            done[found.path] = row._replace(check=stored.check, listed=row.listed if keep else None)
            changed.append((found.path, stored))
        intake.end()
        self._cache.store(changed, forget=rows.keys() - done.keys())
        row = done[top]
        if self._want.keep_listed:
            done = {path: row._replace(listed=self._cache.files(path, row)) for path, row in done.items()}
        return Scan(Entry(Kind.DIRECTORY, Digest.from_raw(row.tree), row.size, row.files), done, is_young)

    def _remembered(self, found: Found) -> tuple[Files, Contents]:
        assert found.row is not None
        known = found.known or self._known(found.path, found.row)
        if known is None:
            raise _ForgottenError
        return known

    def _taken(self, found: Found) -> tuple[Files, Contents, list[int]]:
        """Give what was taken of a folder's files, or what is known where only a folder in it changed."""
        if found.clean:
            return *self._remembered(found), []
        contents, stats, young = found.joined()
        return Files(tuple(found.names), stats), contents, young


def _flags(found: Found, files: Files) -> int:
    """Tell what is in the folder itself."""
    if found.clean and found.row is not None:
        return found.row.flags & ~(JUNK | LINKS) | found.row.flags >> HERE & (JUNK | LINKS)
    return found.flags | (LINKS << HERE | LINKS if has_links(files.stats) else 0)


class Found:
    """A folder on the way: what was remembered of it, what its listing gave, and what was taken."""

    __slots__ = ("began", "clean", "flags", "folders", "known", "names", "own", "path", "positions", "row", "taken")

    def __init__(self, path: str, row: FolderRow | None, known: tuple[Files, Contents] | None, *, clean: bool) -> None:
        self.path = path
        self.row = row
        self.known = known
        self.clean = clean
        self.began = 0
        self.flags = 0
        self.own = b"" if row is None else row.own
        self.names: Sequence[bytes] = () if known is None else known[0].names
        self.folders: Sequence[bytes] = () if row is None else [folder.name for folder in row.folders]
        self.positions: dict[bytes, int] | None = None
        self.taken: dict[int, bytes] = {}

    def before(self, number: int) -> Taken | None:
        """Give what is remembered of a file."""
        if self.known is None:
            return None
        files, known = self.known
        if not self.clean:
            if self.positions is None:
                self.positions = {name: n for n, name in enumerate(files.names)}
            found = self.positions.get(self.names[number])
            if found is None:
                return None
            number = found
        return Taken(
            files.stats[number * SIGNATURE.size : (number + 1) * SIGNATURE.size],
            known.kinds[number : number + 1],
            int.from_bytes(known.sizes[number * SIZE : (number + 1) * SIZE], sys.byteorder),
            known.xxh3s[number * XXH3 : (number + 1) * XXH3],
            known.digests[number * RAW : (number + 1) * RAW],
        )

    def below(self, name: bytes) -> str:
        """Give the path of a folder in it."""
        return os.fsdecode(name) if self.path == "." else f"{self.path}/{os.fsdecode(name)}"

    def joined(self) -> tuple[Contents, bytes, list[int]]:
        """Put the slices together: contents, stats, and the numbers of the files that are too young."""
        parts: list[list[bytes]] = [[], [], [], [], [], []]
        for start in sorted(self.taken):
            for part, data in zip(parts, _split(self.taken[start]), strict=True):
                part.append(data)
        sizes, stats, xxh3s, digests, kinds, young = (b"".join(part) for part in parts)
        numbers = [number for number, mark in enumerate(young) if mark] if any(young) else []
        return Contents(kinds, sizes, xxh3s, digests), stats, numbers


class _Taking:
    """Takes a slice of a folder's files; gives sizes, stats, xxh3s, digests, kinds and marks of youth, packed."""

    def __init__(self, cache: FolderCache, intake: Intake, visited: Sequence[Found]) -> None:
        self._root = os.open(cache.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._clock = cache.clock
        self._intake = intake
        self._visited = visited

    def one(self, item: tuple[int, int, int]) -> bytes:
        number, start, stop = item
        found = self._visited[number]
        try:
            folder = open_folder(self._root, found.path)
        except OSError:
            raise ChangedWhileReadError(found.path) from None
        try:
            began = self._clock.now_ns()
            taken = [self._file(folder, found, n) for n in range(start, stop)]
        except BaseException:
            self._intake.abandon()
            raise
        finally:
            os.close(folder)
        stats, kinds, sizes, xxh3s, digests = zip(*taken, strict=True)
        young = bytes(max(SIGNATURE.unpack(signature)[1:3]) >= began for signature in stats)
        return b"".join((_pack(sizes), *stats, *xxh3s, *digests, *kinds, young))

    def end(self) -> bytes:
        self._intake.end()
        os.close(self._root)
        return b""

    def _file(self, folder: int, found: Found, number: int) -> Taken:
        name = found.names[number]
        spot = Spot(folder, name, found.path)
        known = None if found.known is None else found.before(number)
        if known is not None:
            try:
                now = os.stat(name, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                raise ChangedWhileReadError(spot.path) from None
            stands_for_object = known.kind == b"f" and stat.S_ISLNK(now.st_mode)  # which may be gone
            if pack_stat(now) == known.stat and not stands_for_object and self._intake.has(known):
                return known
        return self._intake.take(spot, known)


def _pack(sizes: Sequence[int]) -> bytes:
    return array("q", sizes).tobytes()


def _split(frame: bytes) -> Iterator[bytes]:
    """Take a slice's frame apart, in the order in which it was put together."""
    widths = (SIZE, SIGNATURE.size, XXH3, RAW, 1, 1)
    count, at = len(frame) // sum(widths), 0
    for width in widths:
        yield frame[at : at + count * width]
        at += count * width


def _member(name: bytes, row: FolderRow) -> Member:
    return Member(name, row.flags & (JUNK | LINKS), row.size, row.files, row.tree)


def _check_names(found: Found) -> None:
    """Refuse names that some file system folds to Git's or gitml's own; one search finds that there are none."""
    names = [*found.folders, *found.names]
    if not _SUSPECT.search(b"\0".join(names)):
        return
    for raw in names:
        name = os.fsdecode(raw)
        try:
            check_name(name)
        except PathError as error:
            raise UnnameableError(found.below(raw), str(error)) from error
