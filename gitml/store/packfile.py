r"""Packs: many small objects in one immutable file, `packs/<BLAKE3 of the whole file>.pack`.

A file system pays per file: 100,000 objects of 4.5 KB cost 6.3 s as files of their own, where their bytes cost 1.2 s.
All numbers are big-endian:

    bytes 0-15   `gitml-pack/1\n` and three NULs
    then         the objects' bytes, back to back, in any order
    index        for each object, in strictly ascending order of its digest:
      32 bytes   BLAKE3 of the object
      4 bytes    where it begins, from the start of the file
      4 bytes    how many bytes it has
    footer, the last 64 bytes:
      8 bytes    where the index begins
      8 bytes    how many objects there are, at least one
      32 bytes   BLAKE3 of the index and of the sixteen bytes above
      16 bytes   `gitml-pack/1 end`

Crash story: a pack is written under a temporary name, synced, and renamed; so a name in `packs/` is whole. A pack whose
header, footer or index is not as above is set aside whole (`PackError`): nothing in it can be found. An object in a
sound pack is judged by its own digest each time it is read; one that is damaged is named in `<digest>.damaged` beside
the pack (lines of 64 hex digits, only ever appended to; other lines mean nothing) and from then on counts as absent,
while the others stay. The list speaks of that copy of the pack: it goes when the same pack is written once more.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import struct
import weakref
from array import array
from collections.abc import Iterable, Iterator
from operator import add, lt

from blake3 import blake3

from gitml.errors import DamagedError
from gitml.store.sharing import share_file

HEADER = b"gitml-pack/1\n\0\0\0"
LARGEST = 64 << 20
"""Bytes of objects after which a pack is closed and the next one begun."""
MOST = 1 << 16
"""Objects after which the same happens: what is known of a pack that is being written costs 250 bytes each."""
ROW = struct.Struct(">32sII")
NAME = re.compile(r"([0-9a-f]{64})\.pack\Z")

_READ_AT_ONCE = 1 << 20
_GAP = 64 << 10
_MAGIC = b"gitml-pack/1 end"
_NUMBERS = struct.Struct(">QQ")
_FOOTER = _NUMBERS.size + 32 + len(_MAGIC)
_MARK = re.compile(rb"^([0-9a-f]{64})$", re.MULTILINE)
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK

Member = tuple[int, int, bytes]
"""Offset, length and raw digest of an object in a pack."""


class PackError(DamagedError):
    """A file in `packs/` is no pack; `path` is where it lies."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"pack {path} cannot be used: {why}", hint="run `gitml repro` to make what it held again")
        self.path = path
        self.why = why


class NewerPackError(PackError):
    """A pack was written by a newer gitml, and is left alone."""


class PackFile:
    """An open pack; the file is closed with the last reference, so no thread can lose it while it reads."""

    __slots__ = ("__weakref__", "descriptor")

    def __init__(self, path: str) -> None:
        self.descriptor = os.open(path, _READ)
        weakref.finalize(self, os.close, self.descriptor)

    def read(self, count: int, offset: int) -> bytes:
        """Read so many bytes from there, fewer where the file ends."""
        return os.pread(self.descriptor, count, offset)


class Pack:
    """A pack whose index was found sound, and which is never changed.

    `digest`: the hex digits that name it; `size`: bytes of the whole file; `index`: where its index begins; `count`:
    of its objects.
    """

    __slots__ = ("count", "digest", "index", "path", "size")

    def __init__(self, path: str, *, size: int, index: int, count: int) -> None:
        self.path = path
        self.digest = os.path.basename(path).removesuffix(".pack")
        self.size = size
        self.index = index
        self.count = count

    def rows(self, file: PackFile | None = None) -> bytes:
        """Read the index again; `file`: the pack, where it is open.

        Raises:
            FileNotFoundError: A collector has removed the pack.
            PackError: The index cannot be read any more.
        """
        data = (file or PackFile(self.path)).read(self.count * ROW.size, self.index)
        if len(data) != self.count * ROW.size:
            raise PackError(self.path, "it was cut short")
        return data

    def entries(self) -> Iterator[tuple[bytes, int, int]]:
        """Give the raw digest, offset and length of every object, by ascending digest; raises as `rows`."""
        return ROW.iter_unpack(self.rows())

    def damaged(self) -> frozenset[bytes]:
        """Name the objects that were found to be damaged."""
        try:
            with open(marks_of(self.path), "rb") as file:
                return frozenset(bytes.fromhex(hexes.decode()) for hexes in _MARK.findall(file.read()))
        except FileNotFoundError:
            return frozenset()

    def mark_damaged(self, raw: bytes, root: str) -> None:
        """Let an object count as absent from now on; `root`: the cache."""
        with open(marks_of(self.path), "ab", buffering=0) as file:
            share_file(root, file.fileno(), 0o664)
            file.write(b"\n" + raw.hex().encode() + b"\n")  # a line that a kill cut short is ended first


def marks_of(path: str) -> str:
    """Name the list of damaged objects of a pack."""
    return path.removesuffix(".pack") + ".damaged"


def encode_index(rows: list[tuple[bytes, int, int]], at: int) -> bytes:
    """Write what follows the objects of a pack: its index, which begins `at` that offset, and its footer."""
    index = b"".join([ROW.pack(*row) for row in sorted(rows)])
    numbers = _NUMBERS.pack(at, len(rows))
    return index + numbers + blake3(index + numbers).digest() + _MAGIC


def open_pack(path: str) -> tuple[Pack, bytes]:
    """Check a pack's header, footer and index; gives it with its index. Its objects are checked when they are read.

    Raises:
        PackError: It is no pack.
        OSError: It cannot be read.
    """
    file = PackFile(path)
    status = os.fstat(file.descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise PackError(path, "it is not a file")
    header = file.read(len(HEADER), 0)
    if header != HEADER:
        newer = re.match(rb"gitml-pack/([1-9][0-9]*)\n", header)
        raise (NewerPackError if newer and newer[1] != b"1" else PackError)(path, "its header is unknown")
    pack, check = _footer(path, file, status.st_size)
    rows = pack.rows(file)
    if blake3(rows + _NUMBERS.pack(pack.index, pack.count)).digest() != check:
        raise PackError(path, "its index is damaged")
    _check_rows(pack, rows)
    return pack, rows


def _footer(path: str, file: PackFile, size: int) -> tuple[Pack, bytes]:
    footer = file.read(_FOOTER, max(0, size - _FOOTER))
    if len(footer) != _FOOTER or footer[-len(_MAGIC) :] != _MAGIC:
        raise PackError(path, "its end is missing")
    index, count = _NUMBERS.unpack_from(footer)
    if index < len(HEADER) or count < 1 or index + count * ROW.size + _FOOTER != size:
        raise PackError(path, "its footer is damaged")
    return Pack(path, size=size, index=index, count=count), footer[_NUMBERS.size : -len(_MAGIC)]


def _check_rows(pack: Pack, rows: bytes) -> None:
    """Refuse an index whose check sum is right but that only a hostile writer would have made."""
    numbers = column(rows, "I")
    offsets, lengths = numbers[8::10], numbers[9::10]
    inside = min(offsets) >= len(HEADER) and max(map(add, offsets, lengths)) <= pack.index
    if not inside or sum(lengths) != pack.index - len(HEADER):
        raise PackError(pack.path, "its index names bytes that it does not have")
    digests = [rows[at : at + 32] for at in range(0, len(rows), ROW.size)]
    if not all(map(lt, digests, digests[1:])):
        raise PackError(pack.path, "its index is out of order")


def column(rows: bytes, kind: str) -> array[int]:
    """Take big-endian data as machine numbers."""
    numbers = array(kind)
    numbers.frombytes(rows)
    if struct.pack("=H", 1) == b"\1\0":
        numbers.byteswap()
    return numbers


def spans(members: Iterable[Member]) -> Iterator[tuple[int, int, list[Member]]]:
    """Gather neighbours of ascending offset, so that one read takes many: gives start, end, and who lies between."""
    inside: list[Member] = []
    start = end = 0
    for member in members:
        offset, length, _ = member
        if inside and (offset > end + _GAP or offset + length - start > _READ_AT_ONCE):
            yield start, end, inside
            inside = []
        if not inside:
            start = end = offset
        inside.append(member)
        end = max(end, offset + length)
    if inside:
        yield start, end, inside


def remove_pack(path: str) -> None:
    """Delete a pack, then its list of damaged objects; what is gone already is no error."""
    for name in (path, marks_of(path)):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
