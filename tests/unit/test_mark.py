from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml.hashing.file import digest_bytes
from gitml.model.digest import Digest
from gitml.model.mention import Mentions, mentioned
from gitml.model.record import entry_to_json
from gitml.model.tree import HEADER, Entry, Kind, TreeEntry, encode_tree
from gitml.store.mark import DamagedTreeError, Marker
from gitml.store.objects import ObjectStore


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(str(tmp_path))


def tree(store: ObjectStore, **members: bytes | Digest) -> Digest:
    """Store a folder: bytes are files, digests folders."""
    entries = []
    for name, member in members.items():
        if isinstance(member, Digest):
            entries.append(TreeEntry(name, Kind.DIRECTORY, member, 1))
        else:
            entries.append(TreeEntry(name, Kind.FILE, store.add_bytes(member), len(member)))
    return store.add_bytes(encode_tree(entries))


def reached(store: ObjectStore, *digests: Digest, folders: bool = False) -> set[bytes]:
    marker = Marker(store.root)
    names = frozenset(map(str, digests))
    marker.add(Mentions(names, folders=names if folders else frozenset()))
    return marker.reached


def test_all_below_a_tree_is_reached(store: ObjectStore) -> None:
    inner = tree(store, c=b"3")
    top = tree(store, a=b"1", b=b"2", d=inner)
    files = {digest_bytes(data).raw for data in (b"1", b"2", b"3")}
    for folders in (False, True):
        assert reached(store, top, folders=folders) == files | {top.raw, inner.raw}


def test_packed_trees_and_packed_members_are_reached(store: ObjectStore) -> None:
    with store.packing(loose_below=1) as packer:
        leaf = packer.add_bytes(b"leaf")
        inner = packer.add_bytes(encode_tree([TreeEntry("leaf", Kind.FILE, leaf, 4)]))
        top = packer.add_bytes(encode_tree([TreeEntry("inner", Kind.DIRECTORY, inner, 4)]))
    assert reached(ObjectStore(store.root), top) == {top.raw, inner.raw, leaf.raw}


def test_what_is_missing_is_reached_and_has_nothing_below_it(store: ObjectStore) -> None:
    gone = digest_bytes(b"gone")
    top = tree(store, a=gone)
    assert reached(store, top) == {top.raw, gone.raw}


def test_a_file_that_looks_like_a_tree_is_one_only_if_it_reads_as_one(store: ObjectStore) -> None:
    for data in (HEADER[:-1], HEADER + b"junk", HEADER + b"f" + b"\0" * 40 + b"name without an end"):
        digest = store.add_bytes(data)
        assert reached(store, digest) == {digest.raw}


def test_a_file_that_somebody_calls_a_folder_is_no_damage(store: ObjectStore) -> None:
    digest = store.add_bytes(b"a file")
    assert reached(store, digest, folders=True) == {digest.raw}


def test_a_large_file_is_not_read_to_the_end(store: ObjectStore, tmp_path: Path) -> None:
    path = tmp_path / "large"
    with open(path, "wb") as file:
        file.truncate(64 << 20)
    digest = store.add_file(str(path)).digest
    assert reached(store, digest) == {digest.raw}


@pytest.mark.parametrize("at", [5, 15, 30, 60, -2])
def test_a_damaged_tree_is_an_error_where_it_is_known_as_one(store: ObjectStore, at: int) -> None:
    inner = tree(store, a=b"1", b=b"2")
    top = tree(store, inner=inner)
    path = Path(store.path(inner))
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    with pytest.raises(DamagedTreeError, match=str(inner)):
        reached(store, top)
    with pytest.raises(DamagedTreeError):
        reached(store, inner, folders=True)
    marker = Marker(store.root, lenient=True)
    marker.add(Mentions(frozenset([str(top)])))
    assert marker.reached == {top.raw, inner.raw}


@pytest.mark.parametrize("packed", [False, True])
def test_a_tree_that_was_moved_away_as_damaged_is_an_error_until_it_is_there_again(
    store: ObjectStore, *, packed: bool
) -> None:
    data = encode_tree([TreeEntry("a", Kind.FILE, store.add_bytes(b"1"), 1)])
    if packed:
        with store.packing(loose_below=1) as packer:
            digest = packer.add_bytes(data)
            packer.add_bytes(b"more")
        (pack,) = store.packs()
        pack.mark_damaged(digest.raw, store.root)
        store = ObjectStore(store.root)
    else:
        digest = store.add_bytes(data)
        store.quarantine(digest)
    assert not store.has(digest)
    with pytest.raises(DamagedTreeError):
        reached(store, digest, folders=True)
    store.add_bytes(data)
    assert digest_bytes(b"1").raw in reached(store, digest, folders=True)


def test_a_tree_in_a_pack_that_was_moved_away_is_an_error(store: ObjectStore) -> None:
    with store.packing(loose_below=1) as packer:
        digest = packer.add_bytes(encode_tree([TreeEntry("a", Kind.FILE, digest_bytes(b"1"), 1)]))
    (pack,) = store.packs()
    path = Path(pack.path)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])
    for _ in range(2):  # the first one moves the pack
        with pytest.raises(DamagedTreeError):
            reached(ObjectStore(store.root), digest, folders=True)


def test_what_is_known_is_neither_given_nor_looked_into(store: ObjectStore) -> None:
    inner = tree(store, a=b"1")
    top = tree(store, inner=inner, b=b"2")
    marker = Marker(store.root, known={inner.raw})
    found = [raw for new in marker.walk(Mentions(frozenset([str(top)]))) for raw in new]
    assert sorted(found) == sorted([top.raw, digest_bytes(b"2").raw])


def test_trees_as_deep_as_can_be_are_walked_flat(store: ObjectStore) -> None:
    top = tree(store, a=b"1")
    for _ in range(3000):
        top = tree(store, d=top)
    assert len(reached(store, top)) == 3002


def test_a_digest_that_is_a_file_in_one_record_and_a_folder_in_another_is_looked_into(store: ObjectStore) -> None:
    top = tree(store, a=b"1")
    name = frozenset([str(top)])
    marker = Marker(store.root)
    marker.add(Mentions(name, leaves=name))
    assert marker.reached == {top.raw}
    marker.add(Mentions(name))
    assert digest_bytes(b"1").raw in marker.reached


digests = st.binary(min_size=32, max_size=32).map(Digest.from_raw)


@given(st.lists(st.tuples(digests, st.sampled_from(list(Kind)))), st.integers(1, 200), st.booleans())
def test_digests_are_found_with_their_kinds_however_the_text_is_cut(
    found: list[tuple[Digest, Kind]], size: int, indented: bool
) -> None:
    entries = {str(number): entry_to_json(Entry(kind, digest, 1)) for number, (digest, kind) in enumerate(found)}
    if indented:
        data = json.dumps({"outputs": entries}, sort_keys=True, indent=2).encode()
    else:
        data = json.dumps({"outputs": entries}, separators=(",", ":")).encode()
    whole = mentioned([data])
    folders = {str(digest) for digest, kind in found if kind is Kind.DIRECTORY}
    everything = {str(digest) for digest, _ in found}
    assert whole == Mentions(frozenset(everything), frozenset(everything - folders), frozenset(folders))
    cut = mentioned(data[at : at + size] for at in range(0, len(data), size))
    assert cut.digests == whole.digests
    assert cut.leaves <= whole.leaves  # a kind that is cut off is not known
    assert cut.folders <= whole.folders


def test_what_only_resembles_a_digest_is_none() -> None:
    name = "a" * 64
    text = f"blake3:{name[:-1]} blake3:{name.upper()} sha256:{name} {name} blake2:{name}"
    assert mentioned([text.encode()]).digests == frozenset()
