from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from gitml.errors import DamagedError
from gitml.hashing.file import digest_bytes
from gitml.model.digest import Digest
from gitml.store.objects import CorruptObjectError, Loose, MissingObjectError, ObjectStore, Packed
from gitml.store.packfile import LARGEST, NewerPackError, PackError, encode_index, open_pack
from tests import strategies as own

CONTENTS = [b"", b"a", b"bb" * 100, b"c" * 5000]


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(str(tmp_path / "cache"))


def packed(store: ObjectStore, contents: list[bytes]) -> list[Digest]:
    with store.packing(loose_below=0) as packer:
        return [packer.add_bytes(data) for data in contents]


def only_pack(store: ObjectStore) -> Path:
    (found,) = Path(store.root, "packs").glob("*.pack")
    return found


def overwrite(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


def read_or_none(store: ObjectStore, digest: Digest) -> bytes | None:
    try:
        return store.read(digest)
    except DamagedError:
        return None


def numbered(count: int, start: int = 0) -> list[bytes]:
    return [b"%d" % n for n in range(start, start + count)]


def test_the_bytes_of_a_pack_are_pinned(store: ObjectStore) -> None:
    packed(store, [b"one", b"", b"three"])
    data = only_pack(store).read_bytes()
    objects = {digest_bytes(body).raw: (at, len(body)) for at, body in [(16, b"one"), (19, b""), (19, b"three")]}
    index = b"".join(
        raw + at.to_bytes(4, "big") + length.to_bytes(4, "big") for raw, (at, length) in sorted(objects.items())
    )
    numbers = (24).to_bytes(8, "big") + (3).to_bytes(8, "big")
    footer = numbers + blake3(index + numbers).digest() + b"gitml-pack/1 end"
    assert data == b"gitml-pack/1\n\0\0\0onethree" + index + footer
    assert only_pack(store).name == "71a638aed20c7446620cc41f5d553c34fc2c24639064cb545aa41e367a3a76d8.pack"


def test_a_pack_is_named_by_its_bytes_and_read_only(store: ObjectStore) -> None:
    packed(store, CONTENTS)
    pack = only_pack(store)
    assert pack.stem == blake3(pack.read_bytes()).hexdigest()
    assert stat.S_IMODE(pack.stat().st_mode) == 0o444
    assert os.listdir(Path(store.root, "tmp")) == []


@own.patiently
@given(st.lists(st.binary(max_size=40)), st.integers(0, 5), st.booleans())
def test_any_objects_come_back_however_they_lie(contents: list[bytes], loose_below: int, afresh: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = ObjectStore(folder)
        with store.packing(loose_below=loose_below) as packer:
            digests = [packer.add_bytes(data) for data in contents]
            assert all(packer.holds(digest) for digest in digests)
        reader = ObjectStore(folder) if afresh else store
        assert digests == [digest_bytes(data) for data in contents]
        assert [reader.read(digest) for digest in digests] == contents
        expected = {digest_bytes(data).raw: data for data in contents}
        found = list(reader.fetch_many(digest.raw for digest in digests))
        assert len(found) == len(expected) and dict(found) == expected
        assert reader.sizes([*expected, b"\0" * 32]) == {raw: len(data) for raw, data in expected.items()}
        assert all(reader.has(digest, len(data)) for digest, data in zip(digests, contents, strict=True))
        assert not any(reader.has(digest, len(data) + 1) for digest, data in zip(digests, contents, strict=True))


@own.patiently
@given(st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=6, unique=True), st.data())
def test_a_damaged_pack_gives_no_wrong_bytes(contents: list[bytes], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = ObjectStore(folder)
        digests = packed(store, contents)
        path = only_pack(store)
        whole = bytearray(path.read_bytes())
        at = data.draw(st.integers(0, len(whole) - 1))
        if data.draw(st.booleans()):
            del whole[at:]
        else:
            whole[at] ^= 1 << data.draw(st.integers(0, 7))
        overwrite(path, bytes(whole))
        seen_before = data.draw(st.booleans())  # a process that had loaded the index before the damage
        reader = store if seen_before else ObjectStore(folder)
        lost = 0
        for digest, content in zip(digests, contents, strict=True):
            found = read_or_none(reader, digest)
            assert found in (content, None)
            if found is None:
                lost += 1
                assert not ObjectStore(folder).has(digest)
        if not seen_before and ObjectStore(folder).packs():
            assert lost == 1
        packed(ObjectStore(folder), contents)
        assert [ObjectStore(folder).read(digest) for digest in digests] == contents


def test_a_damaged_object_is_kept_apart_and_its_neighbours_stay(store: ObjectStore) -> None:
    digests = packed(store, CONTENTS)
    path = only_pack(store)
    overwrite(path, path.read_bytes().replace(b"bb" * 100, b"bX" * 100))
    for take in (store.read, store.verify):
        with pytest.raises(DamagedError):
            take(digests[2])
    assert Path(store.root, "quarantine", digests[2].hex).read_bytes() == b"bX" * 100
    later = ObjectStore(store.root)
    assert [later.has(digest) for digest in digests] == [True, True, False, True]
    with pytest.raises(MissingObjectError):
        later.read(digests[2])
    assert later.locate(digests[2]) is None
    assert later.add_bytes(CONTENTS[2]) == digests[2]
    assert dict(later.fetch_many(digest.raw for digest in digests)) == {
        digest.raw: data for digest, data in zip(digests, CONTENTS, strict=True)
    }


def test_a_mark_that_a_kill_cut_short_marks_nothing(store: ObjectStore) -> None:
    digests = packed(store, CONTENTS)
    only_pack(store).with_suffix(".damaged").write_text(f"{digests[0].hex}\n{digests[1].hex[:40]}")
    assert [ObjectStore(store.root).has(digest) for digest in digests] == [False, True, True, True]
    path = only_pack(store)
    overwrite(path, path.read_bytes().replace(b"bb" * 100, b"bX" * 100))
    with pytest.raises(CorruptObjectError):
        ObjectStore(store.root).read(digests[2])
    assert [ObjectStore(store.root).has(digest) for digest in digests] == [False, True, False, True]


def test_what_was_marked_as_damaged_may_be_packed_again(store: ObjectStore) -> None:
    digests = packed(store, CONTENTS)
    path = only_pack(store)
    overwrite(path, path.read_bytes().replace(CONTENTS[3], b"X" * 5000))
    with pytest.raises(CorruptObjectError):
        store.read(digests[3])
    path.rename(Path(store.root, "quarantine", path.name))
    other = ObjectStore(store.root)
    packed(other, CONTENTS)
    assert only_pack(store) == path
    assert [reader.read(digests[3]) for reader in (store, other, ObjectStore(store.root))] == [CONTENTS[3]] * 3


def test_fetching_many_stops_at_a_damaged_one_and_names_it(store: ObjectStore) -> None:
    digests = packed(store, CONTENTS)
    path = only_pack(store)
    overwrite(path, path.read_bytes().replace(b"bb" * 100, b"bX" * 100))
    given_out = []
    with pytest.raises(CorruptObjectError, match=digests[2].hex):
        given_out.extend(store.fetch_many(digest.raw for digest in digests))
    assert all(digest_bytes(data).raw == raw for raw, data in given_out)


def test_a_damaged_object_is_served_from_another_place(store: ObjectStore, tmp_path: Path) -> None:
    digests = packed(store, CONTENTS)
    other = ObjectStore(str(tmp_path / "other"))
    packed(other, [*CONTENTS, b"more"])
    path = only_pack(store)
    shutil.copy(only_pack(other), path.parent)
    overwrite(path, path.read_bytes().replace(b"bb" * 100, b"bX" * 100))
    reader = ObjectStore(store.root)
    assert reader.read(digests[2]) == CONTENTS[2]
    assert dict(reader.fetch_many([digests[2].raw])) == {digests[2].raw: CONTENTS[2]}


def test_a_pack_without_a_sound_index_is_set_aside_and_named(store: ObjectStore) -> None:
    digests = packed(store, CONTENTS)
    path = only_pack(store)
    overwrite(path, path.read_bytes()[:-1])
    reader = ObjectStore(store.root)
    with pytest.raises(MissingObjectError, match=path.name):
        reader.read(digests[0])
    assert not path.exists()
    assert Path(store.root, "quarantine", path.name).exists()
    assert [error.path for error in reader.refused()] == [str(path)]


def test_a_pack_that_was_set_aside_may_be_written_again(store: ObjectStore) -> None:
    digests = packed(store, CONTENTS)
    path = only_pack(store)
    overwrite(path, path.read_bytes()[:-1])
    reader = ObjectStore(store.root)
    assert not reader.has(digests[0])
    packed(reader, CONTENTS)
    assert only_pack(store) == path
    assert [reader.read(digest) for digest in digests] == CONTENTS


def test_a_pack_of_a_newer_version_is_left_alone(store: ObjectStore) -> None:
    packed(store, CONTENTS)
    path = only_pack(store)
    overwrite(path, path.read_bytes().replace(b"gitml-pack/1\n", b"gitml-pack/2\n"))
    reader = ObjectStore(store.root)
    assert not reader.has(digest_bytes(CONTENTS[0]))
    assert path.exists()
    assert [type(error) for error in reader.refused()] == [NewerPackError]


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([(b"a" * 32, 16, 5)], "bytes that it does not have"),
        ([(b"a" * 32, 16, 4), (b"b" * 32, 16, 1)], "bytes that it does not have"),
        ([(b"a" * 32, 15, 4)], "bytes that it does not have"),
        ([(b"a" * 32, 2**32 - 1, 4)], "bytes that it does not have"),
        ([(b"a" * 32, 16, 2), (b"a" * 32, 18, 2)], "out of order"),
        ([], "footer"),
    ],
)
def test_an_index_that_lies_is_refused(rows: list[tuple[bytes, int, int]], why: str, tmp_path: Path) -> None:
    path = tmp_path / ("0" * 64 + ".pack")
    path.write_bytes(b"gitml-pack/1\n\0\0\0" + b"four" + encode_index(rows, 20))
    with pytest.raises(PackError, match=why):
        open_pack(str(path))


def test_what_is_no_file_in_the_packs_folder_is_refused(store: ObjectStore) -> None:
    digests = packed(store, CONTENTS)
    folder = Path(store.root, "packs")
    os.mkfifo(folder / ("1" * 64 + ".pack"))
    (folder / ("2" * 64 + ".pack")).mkdir()
    (folder / "notes.txt").write_text("no pack")
    reader = ObjectStore(store.root)
    assert reader.read(digests[1]) == CONTENTS[1]
    assert len(reader.packs()) == 1


def test_few_objects_become_files(store: ObjectStore) -> None:
    with store.packing(loose_below=3) as packer:
        digests = [packer.add_bytes(data) for data in CONTENTS[:2]]
    assert store.packs() == []
    assert store.locate(digests[1]) == Loose(store.path(digests[1]), 1)
    assert {(raw, path) for raw, path in store.loose()} == {(d.raw, store.path(d)) for d in digests}


def test_many_objects_become_a_pack(store: ObjectStore) -> None:
    with store.packing(loose_below=3) as packer:
        digests = [packer.add_bytes(data) for data in CONTENTS[1:]]
    assert list(store.loose()) == []
    assert store.locate(digests[1]) == Packed(str(only_pack(store)), 17, 200)
    (pack,) = store.packs()
    assert {raw for raw, _, _ in pack.entries()} == {digest.raw for digest in digests}
    assert (pack.count, pack.size, pack.digest) == (3, only_pack(store).stat().st_size, only_pack(store).stem)


def test_large_objects_are_files_of_their_own(store: ObjectStore) -> None:
    with store.packing(loose_below=0) as packer:
        large = packer.add_bytes(b"x" * ((128 << 10) + 1))
        small = packer.add_bytes(b"x" * (128 << 10))
    assert isinstance(store.locate(large), Loose)
    assert isinstance(store.locate(small), Packed)


def test_what_is_held_already_is_not_written_again(store: ObjectStore) -> None:
    store.add_bytes(CONTENTS[1])
    packed(store, CONTENTS[2:3])
    with ObjectStore(store.root).packing(loose_below=0) as packer:
        for data in CONTENTS + CONTENTS:
            packer.add_bytes(data)
    assert sorted(pack.count for pack in store.packs()) == [1, 2]


def test_packs_are_cut_at_their_largest_size(store: ObjectStore) -> None:
    size = 128 << 10
    count = LARGEST // size + 10
    base = bytes(size - 8)
    with store.packing() as packer:
        for number in range(count):
            packer.add_bytes(base + number.to_bytes(8, "big"))
        assert packer.holds(digest_bytes(base + bytes(8)))
    (pack,) = store.packs()
    assert pack.index <= LARGEST
    assert pack.count + len(list(store.loose())) == count


def test_nothing_is_left_of_a_packer_that_failed(store: ObjectStore) -> None:
    with pytest.raises(RuntimeError), store.packing(loose_below=2) as packer:
        for data in CONTENTS:
            packer.add_bytes(data)
        raise RuntimeError
    assert os.listdir(Path(store.root, "tmp")) == []
    assert store.packs() == [] and list(store.loose()) == []


def test_threads_may_share_a_packer(store: ObjectStore) -> None:
    with store.packing() as packer:
        threads = [threading.Thread(target=lambda: [packer.add_bytes(b"%d" % n) for n in range(500)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    (pack,) = store.packs()
    assert pack.count == 500
    assert all(store.read(digest_bytes(b"%d" % n)) == b"%d" % n for n in range(500))


def test_a_pack_that_another_process_added_is_seen(store: ObjectStore) -> None:
    assert not store.has(digest_bytes(b"a"))
    packed(ObjectStore(store.root), CONTENTS)
    assert store.has(digest_bytes(b"a"))
    packed(ObjectStore(store.root), [b"later"])
    assert store.read(digest_bytes(b"later")) == b"later"


def test_objects_are_followed_when_their_pack_is_written_anew(store: ObjectStore) -> None:
    digests = packed(store, CONTENTS)
    assert store.has(digests[1])
    collector = ObjectStore(store.root)
    for pack in collector.packs():
        collector.repack(pack, lambda raw: raw != digests[3].raw)
    assert not store.has(digests[3])
    assert [store.read(digest) for digest in digests[:3]] == CONTENTS[:3]


def test_fetching_goes_on_when_the_pack_is_written_anew_meanwhile(store: ObjectStore) -> None:
    contents = [bytes([n]) * 100_000 for n in range(100)]
    digests = packed(store, contents)
    fetching = store.fetch_many(digest.raw for digest in digests)
    found = dict([next(fetching)])
    collector = ObjectStore(store.root)
    packed(collector, [b"more"])
    collector.merge(collector.packs(), lambda raw: True)
    store.look_again()
    found.update(fetching)
    assert found == {digest.raw: data for digest, data in zip(digests, contents, strict=True)}


def test_repacking_keeps_what_lives(store: ObjectStore) -> None:
    digests = packed(store, CONTENTS)
    old = only_pack(store)
    (pack,) = store.packs()
    store.repack(pack, lambda raw: raw in (digests[0].raw, digests[3].raw))
    assert not old.exists()
    assert [store.has(digest) for digest in digests] == [True, False, False, True]
    (pack,) = store.packs()
    assert store.repack(pack, lambda raw: True) == [pack.path]
    assert store.read(digests[3]) == CONTENTS[3]
    assert store.repack(pack, lambda raw: False) == []
    assert store.packs() == []


def test_repacking_leaves_out_what_is_damaged(store: ObjectStore) -> None:
    digests = packed(store, CONTENTS)
    path = only_pack(store)
    overwrite(path, path.read_bytes().replace(b"bb" * 100, b"bX" * 100))
    (pack,) = store.packs()
    store.repack(pack, lambda raw: True)
    assert [store.has(digest) for digest in digests] == [True, True, False, True]
    assert Path(store.root, "quarantine", digests[2].hex).read_bytes() == b"bX" * 100
    assert [name.suffix for name in Path(store.root, "packs").iterdir()] == [".pack"]


def test_merging_makes_one_of_many(store: ObjectStore) -> None:
    digests = [digest for data in CONTENTS for digest in packed(store, [data])]
    assert len(store.packs()) == len(CONTENTS)
    store.merge(store.packs(), lambda raw: True)
    assert len(store.packs()) == 1
    assert [store.read(digest) for digest in digests] == CONTENTS


def test_many_packs_open_few_files(store: ObjectStore) -> None:
    for number in range(200):
        packed(store, [b"%d" % number])
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    reader = ObjectStore(store.root)
    assert all(reader.read(digest_bytes(b"%d" % number)) == b"%d" % number for number in range(200))
    assert not before or len(os.listdir("/proc/self/fd")) - before <= 64


def test_two_processes_may_pack_at_once(store: ObjectStore) -> None:
    script = (
        "import sys; from gitml.store.objects import ObjectStore\n"
        "for _ in range(20):\n"
        "    with ObjectStore(sys.argv[1]).packing(loose_below=8) as packer:\n"
        "        for n in range(int(sys.argv[2]), int(sys.argv[2]) + 100): packer.add_bytes(b'%d %d' % (n, _))\n"
    )
    start = [subprocess.Popen([sys.executable, "-c", script, store.root, first]) for first in ("0", "50")]
    assert [process.wait(timeout=60) for process in start] == [0, 0]
    assert all(store.has(digest_bytes(b"%d %d" % (n, turn))) for n in range(150) for turn in range(20))
    assert os.listdir(Path(store.root, "tmp")) == []


def test_a_kill_leaves_whole_packs(store: ObjectStore) -> None:
    script = (
        "import os, sys; from gitml.store.objects import ObjectStore\n"
        "real = os.write, os.rename\n"
        "count = int(sys.argv[2])\n"
        "def counted(call):\n"
        "    def strike(*args, **named):\n"
        "        global count\n"
        "        count -= 1\n"
        "        if count < 0: os.kill(os.getpid(), 9)\n"
        "        return call(*args, **named)\n"
        "    return strike\n"
        "for name in ('write', 'rename', 'fsync', 'mkdir', 'unlink'): setattr(os, name, counted(getattr(os, name)))\n"
        "store = ObjectStore(sys.argv[1])\n"
        "with store.packing(loose_below=8) as packer:\n"
        "    for n in range(20): packer.add_bytes(b'%d' % n)\n"
        "for pack in store.packs(): store.repack(pack, lambda raw: raw[0] % 2)\n"
    )
    contents = numbered(20)
    living = [data for data in contents if digest_bytes(data).raw[0] % 2]
    ended = -9
    for strike in range(40):
        before = ObjectStore(store.root)
        held = [data for data in living if before.has(digest_bytes(data))]
        ended = subprocess.run(
            [sys.executable, "-c", script, store.root, str(strike)], check=False, timeout=60
        ).returncode
        after = ObjectStore(store.root)
        assert all(after.read(digest_bytes(data)) == data for data in held)
        assert after.refused() == ()
        if ended == 0:
            break
    assert ended == 0
    assert all(ObjectStore(store.root).read(digest_bytes(data)) == data for data in living)


def test_a_project_without_packs_makes_no_folder(store: ObjectStore) -> None:
    with store.packing():
        pass
    assert not store.has(digest_bytes(b"a"))
    assert not os.path.exists(store.root)


def test_quarantining_what_is_packed_lets_it_count_as_absent(store: ObjectStore) -> None:
    digests = packed(store, CONTENTS)
    path = only_pack(store)
    overwrite(path, path.read_bytes().replace(b"bb" * 100, b"bX" * 100))
    error = store.quarantine(digests[2])
    assert isinstance(error, CorruptObjectError)
    store.quarantine(digests[3])
    assert [store.has(digest) for digest in digests] == [True, True, False, True]


def test_a_pack_is_cut_at_a_number_of_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitml.store.packer.MOST", 100)
    store = ObjectStore(str(tmp_path))
    with store.packing(loose_below=2) as packer:
        named = [packer.add_bytes(b"%d" % number) for number in range(250)]
    assert sorted(pack.count for pack in store.packs()) == [50, 100, 100]
    assert [store.read(digest) for digest in named] == [b"%d" % number for number in range(250)]
