"""Content-addressed objects: `objects/ab/cdef…`, one read-only file per blob or tree, named by its BLAKE3.

Small ones that come in numbers lie in packs instead (`gitml.store.packfile`); reading sees both, the files first.

Crash story: an object is written to `tmp/` beside `objects/` in the same file system and renamed into place, so that a
name is either absent or whole as far as a kill can tell. A power cut may still leave a renamed file without its bytes;
so length is checked before an object is counted on, and its digest whenever it is copied out: such an object is then
quarantined and the step that made it runs again. Syncing each small file costs 0.3 ms on a local disk (a tenth of a
trivial step), so only files of 1 MiB and more are synced before the rename.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import xxhash
from blake3 import blake3

from gitml.errors import DamagedError
from gitml.hashing.file import BUFFER, ChangedWhileReadError, FileDigest, NotRegularError, digest_bytes, signature_of
from gitml.hashing.stream import copy_stream
from gitml.model.digest import Digest
from gitml.store.packed import PackedObjects
from gitml.store.packer import SMALL, Packer
from gitml.store.packfile import Member, Pack, PackError, spans
from gitml.store.packset import Place
from gitml.store.quarantine import CorruptObjectError, MissingObjectError, quarantine_path
from gitml.store.sharing import make_folder, share_file

__all__ = ["CorruptObjectError", "Loose", "MissingObjectError", "ObjectStore", "Packed"]

_SYNC_FROM = 1 << 20
_SHARD = re.compile(r"[0-9a-f]{2}\Z")
_HEX = re.compile(r"[0-9a-f]{64}\Z")
_serial = itertools.count()


class Loose(NamedTuple):
    """An object that is a file of its own."""

    path: str
    size: int


class Packed(NamedTuple):
    """An object that is `length` bytes of the pack at `path`."""

    path: str
    offset: int
    length: int


class ObjectStore:
    """Objects below `root`; methods are safe to call from several threads and processes at once."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._objects = os.path.join(root, "objects")
        self._tmp = os.path.join(root, "tmp")
        self._packed = PackedObjects(root)
        self._shards: frozenset[int] = frozenset(range(256))

    def path(self, digest: Digest) -> str:
        """Tell where an object lies, or would lie, as a file of its own."""
        return self._path(digest.hex)

    def locate(self, digest: Digest) -> Loose | Packed | None:
        """Tell where an object lies; whoever opens what is named looks again when a collector was faster."""
        size = self._loose_size(digest.hex)
        if size is not None:
            return Loose(self.path(digest), size)
        for place in self._packed.set.places(digest.raw):
            return Packed(place.pack.path, place.offset, place.length)
        return None

    def has(self, digest: Digest, size: int | None = None) -> bool:
        """Tell whether an object is there and, where its size is known, whole."""
        found = self._loose_size(digest.hex)
        if found is not None and size in (None, found):
            return True
        return any(size in (None, place.length) for place in self._packed.set.places(digest.raw))

    def holds(self, raw: bytes, size: int | None) -> bool:
        """Tell what `has` does of a raw digest, but without a look for what others have just added.

        A data set that is added to a cache of packs is asked about file by file: where no folder is there for an
        object, the 4 us of a `stat` are spared.
        """
        if raw[0] in self._shards:
            found = self._loose_size(raw.hex())
            if found is not None and size in (None, found):
                return True
        return any(size in (None, place.length) for place in self._packed.set.places(raw, look=False))

    def packing(self, *, loose_below: int = 64) -> Packer:
        """Gather small objects into packs; fewer than `loose_below` of them become files of their own.

        To be called by a holder of the lease: what is found to be stored now is counted on until the packer ends.
        """
        self.look_again()
        return Packer(self, loose_below=loose_below)

    def packs(self) -> list[Pack]:
        """List the packs that stand here now, but those that are refused."""
        return self._packed.set.packs()

    def refused(self) -> tuple[PackError, ...]:
        """Name the packs that this process found to be damaged as a whole."""
        return self._packed.set.refused

    def loose(self) -> Iterator[tuple[bytes, str]]:
        """Give the raw digest and path of every object that is a file of its own, by shard, without a `stat`."""
        for shard in _list(self._objects):
            folder = os.path.join(self._objects, shard)
            for name in _list(folder):
                if _HEX.match(shard + name):
                    yield bytes.fromhex(shard + name), os.path.join(folder, name)

    def repack(self, pack: Pack, live: Callable[[bytes], bool]) -> list[str]:
        """Write a pack anew with those of its objects for whose raw digest `live` answers true, then remove it.

        Gives the paths of the new packs: none when nothing lives, the old one when all of it does.

        Raises:
            OSError: The new pack cannot be written; the old one stands as it did.
        """
        return self.merge([pack], live)

    def merge(self, packs: Sequence[Pack], live: Callable[[bytes], bool]) -> list[str]:
        """Write several packs anew as one, or as few as hold them; as `repack`."""
        return self._packed.rewrite(packs, live)

    def fetch_many(self, raws: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """Read many small objects, each once, in the order in which they lie, packed ones first; each is verified.

        Raises:
            MissingObjectError: One is not there; before anything is given, unless it is removed meanwhile.
            CorruptObjectError: The bytes of one have another digest.
        """
        wanted = list(dict.fromkeys(raws))
        packed = self._packed.find(wanted)
        within = {raw for _, members in packed for _, _, raw in members}
        loose = [raw for raw in wanted if raw not in within]
        for raw in loose:
            if self._loose_size(raw.hex()) is None:
                raise MissingObjectError(Digest.from_raw(raw), refused=self.refused())
        for pack, members in packed:
            yield from self._fetch_from(pack, members)
        for raw in loose:
            yield raw, self.read(Digest.from_raw(raw))

    def sizes(self, raws: Iterable[bytes]) -> dict[bytes, int]:
        """Tell the sizes in bytes of those objects that are there."""
        wanted = list(raws)
        found = {raw: length for _, members in self._packed.find(wanted) for _, length, raw in members}
        for raw in wanted:
            size = None if raw in found else self._loose_size(raw.hex())
            if size is not None:
                found[raw] = size
        return found

    def look_again(self) -> None:
        """Learn which packs, and which folders of loose objects, have come and gone."""
        self._shards = frozenset(int(name, 16) for name in _list(self._objects) if _SHARD.match(name))
        self._packed.set.look(again=True)

    def read(self, digest: Digest) -> bytes:
        """Read a small object (a tree, a log, a metrics file) and check its bytes.

        Raises:
            MissingObjectError: It is not there.
            CorruptObjectError: Its bytes have another digest.
        """
        try:
            with open(self.path(digest), "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return self._packed.read(digest)
        if digest_bytes(data) != digest:
            raise self.quarantine(digest)
        return data

    def add_bytes(self, data: bytes) -> Digest:
        """Store bytes; nothing is written when they are there already."""
        digest = digest_bytes(data)
        if not self.has(digest, len(data)):
            self.put(digest.raw, data)
        return digest

    def put(self, raw: bytes, data: bytes) -> None:
        """Write bytes, whose digest the caller has computed, as a file of their own."""
        temporary, descriptor = self._create()
        try:
            with open(descriptor, "wb") as file:
                file.write(data)
                if len(data) >= _SYNC_FROM:
                    file.flush()
                    os.fsync(file.fileno())
            self.publish(temporary, Digest.from_raw(raw))
        except BaseException:
            _unlink(temporary)
            raise

    def publish(self, temporary: str, digest: Digest) -> None:
        """Give a finished file in `tmp/` the name of the object whose bytes it has; afterwards it is gone from there.

        What stands at that name with other bytes is quarantined: it may be somebody's only copy of what they wrote
        through a link into the cache.
        """
        target = self.path(digest)
        if self._is_whole(target, digest, temporary):
            _unlink(temporary)
            return
        try:
            os.rename(temporary, target)
        except FileNotFoundError:
            make_folder(self.root, os.path.dirname(target))
            self._shards |= {digest.raw[0]}
            os.rename(temporary, target)

    def add_file(self, path: str) -> FileDigest:
        """Store a regular file, hashing it while it is copied, and give its digest and its stat.

        Raises:
            NotRegularError: It is a pipe, socket or device.
            ChangedWhileReadError: It was written to meanwhile.
            OSError: It cannot be read, or the cache cannot be written.
        """
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise NotRegularError(path)
            if before.st_size <= SMALL:
                found = self._add_small(descriptor, before.st_size)
            else:
                found = self._add_large(descriptor, before.st_size, path)
            signature = signature_of(os.fstat(descriptor))
        finally:
            os.close(descriptor)
        if signature != signature_of(before):
            raise ChangedWhileReadError(path)
        return FileDigest(signature, *found)

    def copy_out(self, digest: Digest, target: int) -> None:
        """Write an object's bytes to an open descriptor, checking them on the way.

        Raises:
            MissingObjectError: It is not there.
            CorruptObjectError: The bytes that were written are not those of the digest; discard the target.
        """
        hasher = blake3()
        try:
            source = os.open(self.path(digest), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            _write_all(target, self._packed.read(digest))
            return
        try:
            while data := os.read(source, 4 * BUFFER):
                hasher.update(data)
                _write_all(target, data)
        finally:
            os.close(source)
        if Digest.from_raw(hasher.digest()) != digest:
            raise self.quarantine(digest)

    def copy_into(self, digest: Digest, target: int) -> bytes:
        """Write an object's bytes to an empty file that is open for reading too; gives their fingerprint.

        As `copy_out`, and several times as fast for long ones: they are copied and hashed at the same time.
        """
        try:
            source = os.open(self.path(digest), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            data = self._packed.read(digest)
            _write_all(target, data)
            return xxhash.xxh3_128_digest(data)
        try:
            found = copy_stream(source, target, os.fstat(source).st_size, sync=False)
        finally:
            os.close(source)
        if found.digest != digest.raw:
            raise self.quarantine(digest)
        return found.xxh3

    def verify(self, digest: Digest) -> None:
        """Read an object and check its bytes; raises as `copy_out`."""
        with open(os.devnull, "wb") as nowhere:
            self.copy_out(digest, nowhere.fileno())

    def quarantine(self, digest: Digest) -> CorruptObjectError:
        """Move a damaged object out of the way and give the error to raise; in packs, what is right of it stays."""
        target = quarantine_path(self.root, digest)
        try:
            os.rename(self.path(digest), target)
        except FileNotFoundError:
            with contextlib.suppress(DamagedError):
                self._packed.read(digest)
        return CorruptObjectError(digest, target)

    def quarantine_packed(self, pack: Pack, raw: bytes) -> CorruptObjectError | None:
        """Let an object count as absent from a pack, if its bytes there are wrong; a copy of them is kept.

        Raises:
            FileNotFoundError: The pack is gone.
        """
        return self._packed.judge(pack, raw)

    def _fetch_from(self, pack: Pack, members: Sequence[Member]) -> Iterator[tuple[bytes, bytes]]:
        for start, end, inside in spans(members):
            data = self._packed.read_span(pack, start, end)
            if data is None:  # a collector has written the pack anew
                yield from self.fetch_many(raw for offset, _, raw in members if offset >= start)
                return
            for offset, length, raw in inside:
                found = data[offset - start : offset - start + length]
                if blake3(found).digest() != raw:
                    found = self._other_copy(Place(pack, offset, length), raw, found)
                yield raw, found

    def _other_copy(self, place: Place, raw: bytes, data: bytes) -> bytes:
        """Set a damaged packed object aside and read it elsewhere, if it is there.

        Raises:
            CorruptObjectError: It is not.
        """
        error = self._packed.set_aside(place, raw, data)
        try:
            return self.read(error.digest)
        except MissingObjectError:
            raise error from None

    def _path(self, name: str) -> str:
        return f"{self._objects}/{name[:2]}/{name[2:]}"

    def _loose_size(self, name: str) -> int | None:
        try:
            found = os.stat(self._path(name))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def _is_whole(self, path: str, digest: Digest, temporary: str) -> bool:
        """Tell whether an object stands at `path` that has the bytes of `temporary`; anything else gives way."""
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return False
        if not stat.S_ISREG(found.st_mode) or found.st_size != os.stat(temporary).st_size:
            self.quarantine(digest)
            return False
        try:
            self.verify(digest)
        except (CorruptObjectError, MissingObjectError):  # the second: another process has just moved it away
            return False
        return True

    def _add_small(self, descriptor: int, size: int) -> tuple[bytes, Digest]:
        data = b""
        while part := os.read(descriptor, size + 1 - len(data)):
            data += part
        return xxhash.xxh3_128_digest(data), self.add_bytes(data)

    def _add_large(self, descriptor: int, size: int, path: str) -> tuple[bytes, Digest]:
        temporary, target = self._create()
        try:
            try:
                found = copy_stream(descriptor, target, size, sync=size >= _SYNC_FROM)
            finally:
                os.close(target)
            if found.size != size:
                raise ChangedWhileReadError(path)  # noqa: TRY301 - it is cleared away below
            digest = Digest.from_raw(found.digest)
            self.publish(temporary, digest)
        except BaseException:
            _unlink(temporary)
            raise
        return found.xxh3, digest

    def _create(self) -> tuple[str, int]:
        path = os.path.join(self._tmp, f"{os.getpid()}-{next(_serial)}-{os.urandom(4).hex()}")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            descriptor = os.open(path, flags, 0o444)
        except FileNotFoundError:
            make_folder(self.root, self._tmp)
            descriptor = os.open(path, flags, 0o444)
        share_file(self.root, descriptor, 0o444)
        return path, descriptor


def _write_all(descriptor: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _list(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
