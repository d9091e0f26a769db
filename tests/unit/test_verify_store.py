"""Looking at all objects of a cache: what counts as right, what as wrong, and that nothing is changed by the look."""

from __future__ import annotations

import errno
import os
import random
import signal
import time
from pathlib import Path

import pytest
from blake3 import blake3

import gitml.store.rehash
import gitml.store.verify
from gitml.hashing.file import digest_bytes
from gitml.model.digest import Digest
from gitml.model.tree import HEADER as HEADER_OF_TREES
from gitml.model.tree import Entry, Kind, TreeEntry, encode_tree
from gitml.store.lack import Lacks
from gitml.store.objects import ObjectStore
from gitml.store.packfile import HEADER, encode_index
from gitml.store.rehash import Fault
from gitml.store.verify import Checked, Finding, Sample, check, put_aside


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(str(tmp_path / "cache"))


def fill(store: ObjectStore, count: int, *, packed: bool = False, seed: int = 0) -> list[bytes]:
    """Store objects of 1 byte to 4 kB, as files or in packs."""
    chance = random.Random(seed)
    datas = [chance.randbytes(chance.randrange(1, 4000)) + str(number).encode() for number in range(count)]
    with store.packing(loose_below=0 if packed else 1 << 30) as packer:
        for data in datas:
            packer.add_bytes(data)
    return datas


def spoil(path: str | Path, data: bytes) -> None:
    os.chmod(path, 0o644)
    Path(path).write_bytes(data)


def file_of(store: ObjectStore, data: bytes) -> str:
    return store.path(Digest.from_raw(blake3(data).digest()))


def faults(found: Checked) -> dict[str, Fault]:
    return {finding.path: finding.fault for finding in found.findings}


def state(store: ObjectStore) -> dict[str, tuple[int, int, bytes]]:
    files = [path for path in Path(store.root).rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes()) for path in files}


class Counting:
    def __init__(self) -> None:
        self.expected: int | None = None
        self.files = self.size = 0

    def phase(self, name: str, *, files: int | None = None, size: int | None = None) -> None:
        self.expected = files

    def advance(self, files: int, size: int) -> None:
        self.files += files
        self.size += size


class TestWhole:
    def test_a_cache_that_is_not_there(self, store: ObjectStore) -> None:
        assert check(store) == Checked(0, 0, (), ())
        assert not os.path.exists(store.root)

    @pytest.mark.parametrize("packed", [False, True])
    def test_everything_is_read_once_and_nothing_is_changed(self, store: ObjectStore, packed: bool) -> None:
        datas = fill(store, 500, packed=packed)
        assert bool(store.packs()) is packed
        before, meter = state(store), Counting()
        assert check(store, meter=meter) == Checked(500, sum(map(len, datas)), (), ())
        assert state(store) == before
        assert meter.size == sum(map(len, datas))
        assert meter.files == meter.expected

    @pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 16 << 20, (16 << 20) + 1])
    def test_sizes_around_every_limit(self, store: ObjectStore, size: int) -> None:
        data = bytes(size)
        store.put(blake3(data).digest(), data)
        assert check(store) == Checked(1, size, (), ())
        spoil(file_of(store, data), data[:-1] + b"!")
        assert [finding.fault for finding in check(store).findings] == [Fault.BYTES]

    def test_objects_that_go_meanwhile_are_no_matter(self, store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
        datas = fill(store, 100)
        listing = gitml.store.verify._listing

        def listed_then_gone(root: str) -> object:
            found = listing(root)
            for data in datas[:50]:
                os.unlink(file_of(store, data))
            return found

        monkeypatch.setattr(gitml.store.verify, "_listing", listed_then_gone)
        found = check(store)
        assert (found.right, found.findings) == (50, ())


class TestWrong:
    @pytest.mark.parametrize("number", [3, 300])
    def test_each_that_differs_is_named(self, store: ObjectStore, number: int) -> None:
        """Few are looked at by one process, many by several."""
        datas = fill(store, number)
        flipped, cut, longer = datas[0], datas[1], datas[2]
        spoil(file_of(store, flipped), bytes([flipped[0] ^ 1]) + flipped[1:])
        spoil(file_of(store, cut), cut[:-1])
        spoil(file_of(store, longer), longer + b"\0")
        found = check(store)
        assert found.right == number - 3
        assert {finding.digest for finding in found.findings} == {
            Digest.from_raw(blake3(data).digest()) for data in (flipped, cut, longer)
        }
        assert {finding.fault for finding in found.findings} == {Fault.BYTES}
        assert os.path.exists(file_of(store, cut)), "a look moves nothing"

    def test_an_empty_file_is_right_only_under_its_own_name(self, store: ObjectStore) -> None:
        (data,) = fill(store, 1)
        store.put(blake3(b"").digest(), b"")
        spoil(file_of(store, data), b"")
        found = check(store)
        assert found.right == 1
        assert [finding.digest for finding in found.findings] == [Digest.from_raw(blake3(data).digest())]

    def test_a_pipe_with_the_name_of_nothing_is_no_object(self, store: ObjectStore) -> None:
        path = file_of(store, b"")
        os.makedirs(os.path.dirname(path))
        os.mkfifo(path)
        (finding,) = check(store).findings
        assert (finding.fault, finding.detail) == (Fault.NO_FILE, "a pipe")

    def test_what_the_disk_cannot_read_is_damaged(self, store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
        good, bad = fill(store, 2)
        inode, readv = os.stat(file_of(store, bad)).st_ino, os.readv

        def failing(descriptor: int, buffers: list[bytearray]) -> int:
            if os.fstat(descriptor).st_ino == inode:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return readv(descriptor, buffers)

        monkeypatch.setattr(os, "readv", failing)
        found = check(store)
        assert found.right == 1
        assert faults(found) == {os.path.relpath(file_of(store, bad), store.root): Fault.BYTES}
        assert os.path.exists(file_of(store, good))

    def test_what_may_not_be_opened_is_unreadable_and_stays(
        self, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (data,) = fill(store, 1)
        opened, name = os.open, os.path.basename(file_of(store, data))

        def refusing(path: str, flags: int, *rest: object, **named: int) -> int:
            if path == name:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
            return opened(path, flags, *rest, **named)  # type: ignore[arg-type]

        with monkeypatch.context() as patched:
            patched.setattr(os, "open", refusing)
            (finding,) = check(store).findings
        assert (finding.fault, finding.detail) == (Fault.UNREADABLE, "Permission denied")
        assert put_aside(store, finding) is None
        assert os.path.exists(file_of(store, data))

    def test_a_file_in_the_place_of_a_shard(self, store: ObjectStore) -> None:
        fill(store, 3)
        name = next(f"{n:02x}" for n in range(256) if not os.path.exists(f"{store.root}/objects/{n:02x}"))
        Path(store.root, "objects", name).write_text("mine")
        found = check(store)
        assert found.right == 3
        assert faults(found) == {f"objects/{name}": Fault.STRAY}


class TestPutAside:
    def test_moves_the_very_file(self, store: ObjectStore) -> None:
        (data,) = fill(store, 1)
        path = file_of(store, data)
        spoil(path, b"mine")
        inode = os.stat(path).st_ino
        (finding,) = check(store).findings
        kept = put_aside(store, finding)
        assert kept is not None
        assert os.stat(kept).st_ino == inode
        assert not os.path.exists(path)

    def test_leaves_what_was_mended_meanwhile(self, store: ObjectStore) -> None:
        (data,) = fill(store, 1)
        path = file_of(store, data)
        spoil(path, b"mine")
        (finding,) = check(store).findings
        os.unlink(path)
        store.put(blake3(data).digest(), data)
        assert put_aside(store, finding) is None
        assert store.read(Digest.from_raw(blake3(data).digest())) == data

    def test_strays_stay(self, store: ObjectStore) -> None:
        os.makedirs(f"{store.root}/objects")
        Path(store.root, "objects/README").write_text("mine")
        (finding,) = check(store).findings
        assert put_aside(store, finding) is None
        assert os.path.exists(f"{store.root}/objects/README")


class TestPacks:
    def flip(self, path: str, at: int) -> None:
        os.chmod(path, 0o644)
        with open(path, "r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1]))

    def test_one_bad_object_is_named_and_the_others_stay(self, store: ObjectStore) -> None:
        datas = fill(store, 200, packed=True)
        (pack,) = store.packs()
        raw, offset, length = list(pack.entries())[7]
        self.flip(pack.path, offset + length // 2)
        found = check(store)
        assert found.right == 199
        (finding,) = found.findings
        assert finding.digest == Digest.from_raw(raw)
        kept = put_aside(store, finding)
        assert kept is not None
        assert blake3(Path(kept).read_bytes()).digest() != raw
        again = ObjectStore(store.root)
        assert not again.has(Digest.from_raw(raw))
        assert sum(again.has(Digest.from_raw(blake3(data).digest())) for data in datas) == 199
        assert check(again) == Checked(199, found.size - length, (), ())

    def test_every_bit_counts(self, store: ObjectStore) -> None:
        """A flipped bit anywhere in a pack is found."""
        fill(store, 64, packed=True, seed=5)
        (pack,) = store.packs()
        chance = random.Random(3)
        for at in [
            0,
            15,
            16,
            pack.index - 1,
            pack.index,
            pack.size - 1,
            *(chance.randrange(pack.size) for _ in range(40)),
        ]:
            self.flip(pack.path, at)
            assert check(ObjectStore(store.root)).findings, f"byte {at}"
            self.flip(pack.path, at)
        assert check(ObjectStore(store.root)).findings == ()

    def test_a_cut_pack_is_named_as_a_whole_and_set_aside(self, store: ObjectStore) -> None:
        fill(store, 64, packed=True)
        (pack,) = store.packs()
        os.chmod(pack.path, 0o644)
        os.truncate(pack.path, pack.size - 100)
        fresh = ObjectStore(store.root)
        (finding,) = check(fresh).findings
        assert (finding.digest, finding.fault) == (None, Fault.BYTES)
        kept = put_aside(fresh, finding)
        assert kept is not None
        assert os.path.getsize(kept) == pack.size - 100
        assert not os.path.exists(pack.path)
        assert check(ObjectStore(store.root)).findings == ()

    def test_an_index_that_lies_is_found_though_the_pack_has_its_digest(self, store: ObjectStore) -> None:
        """Whoever may write to a shared cache could name an object over other bytes."""
        honest, lie = b"honest bytes", b"other bytes!"
        body = HEADER + honest + lie
        rows = [(blake3(honest).digest(), len(HEADER), 12), (blake3(b"wanted").digest(), len(HEADER) + 12, 12)]
        data = body + encode_index(rows, len(body))
        folder = Path(store.root, "packs")
        folder.mkdir(parents=True)
        (folder / f"{blake3(data).hexdigest()}.pack").write_bytes(data)
        found = check(store)
        assert found.right == 1
        assert [finding.digest for finding in found.findings] == [Digest.from_raw(blake3(b"wanted").digest())]

    def test_a_pack_under_another_name(self, store: ObjectStore) -> None:
        fill(store, 64, packed=True)
        (pack,) = store.packs()
        os.rename(pack.path, os.path.join(os.path.dirname(pack.path), "ab" * 32 + ".pack"))
        (finding,) = check(ObjectStore(store.root)).findings
        assert finding.digest is None
        assert pack.digest in finding.detail

    def test_strangers_among_packs(self, store: ObjectStore) -> None:
        fill(store, 64, packed=True)
        for name in ("README", "x.pack", "half.tmp"):
            Path(store.root, "packs", name).write_text("mine")
        assert faults(check(store)) == dict.fromkeys(["packs/README", "packs/x.pack", "packs/half.tmp"], Fault.STRAY)


class TestSamples:
    def test_files_and_packed_objects_have_the_same_chance(self, store: ObjectStore) -> None:
        fill(store, 100)
        fill(store, 300, packed=True, seed=1)
        for part, expected in ((0.0001, 1), (0.5, 200), (1.0, 400)):
            assert check(store, sample=Sample(part=part)).right == expected
        assert check(store, sample=Sample(number=7)).right == 7
        assert check(store, sample=Sample(number=4000)).right == 400

    def test_a_seed_chooses_the_same_and_another_chooses_others(self) -> None:
        assert Sample(number=50, seed="a").of(1000) == Sample(number=50, seed="a").of(1000)
        assert Sample(number=50, seed="a").of(1000) != Sample(number=50, seed="b").of(1000)

    def test_all_parts_together_find_what_is_wrong(self, store: ObjectStore) -> None:
        datas = fill(store, 30)
        fill(store, 90, packed=True, seed=1)
        spoil(file_of(store, datas[4]), b"")
        (pack,) = store.packs()
        TestPacks().flip(pack.path, 20)
        found: set[Finding] = set()
        for seed in range(200):
            found.update(check(store, sample=Sample(part=0.1, seed=seed)).findings)
        assert len(found) == 2


class TestLacks:
    def lacks(self, store: ObjectStore, tree: Digest) -> dict[str, tuple[Digest, bool]]:
        found = Lacks(store).of(Entry(Kind.DIRECTORY, tree, 0))
        return {lack.path: (lack.digest, lack.present) for lack in found}

    @pytest.mark.parametrize("packed", [False, True])
    def test_names_what_is_missing_and_what_has_another_size(self, store: ObjectStore, packed: bool) -> None:
        here, other, *_ = (digest_bytes(data) for data in fill(store, 70, packed=packed))
        gone = digest_bytes(b"gone")
        sizes = store.sizes([here.raw, other.raw])
        inner = encode_tree([TreeEntry("x", Kind.FILE, gone, 4), TreeEntry("y", Kind.FILE, here, sizes[here.raw])])
        rows = [
            TreeEntry("inner", Kind.DIRECTORY, store.add_bytes(inner), 0),
            TreeEntry("again", Kind.DIRECTORY, digest_bytes(inner), 0),
            TreeEntry("longer", Kind.FILE, other, sizes[other.raw] + 1),
            TreeEntry("no folder", Kind.DIRECTORY, gone, 0),
        ]
        assert self.lacks(store, store.add_bytes(encode_tree(rows))) == {
            "inner/x": (gone, False),
            "again/x": (gone, False),
            "longer": (other, True),
            "no folder": (gone, False),
        }

    def test_a_hostile_tree_leads_nowhere(self, store: ObjectStore) -> None:
        gone = digest_bytes(b"gone")
        names = ["..", "../../etc/passwd", ".", "/etc/passwd", "fine"]
        tree = store.add_bytes(encode_tree(TreeEntry(name, Kind.FILE, gone, 4) for name in names))
        assert list(self.lacks(store, tree)) == ["fine"]

    def test_bytes_needed_at_very_many_paths_are_named_at_some(self, store: ObjectStore) -> None:
        gone = digest_bytes(b"")
        tree = store.add_bytes(encode_tree(TreeEntry(str(n), Kind.FILE, gone, 0) for n in range(5000)))
        assert 1 < len(self.lacks(store, tree)) < 100

    def test_what_is_no_tree_lacks_nothing(self, store: ObjectStore) -> None:
        assert self.lacks(store, store.add_bytes(b"no tree")) == {}
        assert self.lacks(store, store.add_bytes(HEADER_OF_TREES + b"f cut")) == {}

    def test_folders_within_folders_without_end(self, store: ObjectStore) -> None:
        tree = store.add_bytes(encode_tree([]))
        for _ in range(700):
            tree = store.add_bytes(encode_tree([TreeEntry("d", Kind.DIRECTORY, tree, 0)]))
        assert self.lacks(store, tree) == {}


def test_an_interrupt_changes_nothing(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    datas = fill(store, 300)
    spoil(file_of(store, datas[0]), b"mine")
    before = state(store)
    real, here = gitml.store.rehash.ShardWorker.one, os.getpid()
    shard = sorted(os.listdir(f"{store.root}/objects"))[0]

    def interrupting(self: gitml.store.rehash.ShardWorker, item: gitml.store.rehash.Shard) -> bytes:
        if item.name == shard:
            os.kill(here, signal.SIGINT)
            time.sleep(10)
        return real(self, item)

    monkeypatch.setattr(gitml.store.rehash.ShardWorker, "one", interrupting)
    with pytest.raises(KeyboardInterrupt):
        check(store)
    assert state(store) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
