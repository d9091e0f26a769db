from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitml.errors import DamagedError, UsageError
from gitml.hashing.file import digest_bytes
from gitml.hashing.meter import SILENT
from gitml.model.digest import Digest
from gitml.model.tree import HEADER, Entry, Kind, TreeEntry, encode_tree
from gitml.store.build import Building
from gitml.store.checkout import materialise, objects_of
from gitml.store.objects import MissingObjectError, ObjectStore
from gitml.store.place import check_link


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def stored(store: ObjectStore, data: bytes, kind: Kind = Kind.FILE) -> Entry:
    return Entry(kind, store.add_bytes(data), len(data))


def folder(store: ObjectStore, **members: Entry) -> Entry:
    rows = [TreeEntry(name, entry.kind, entry.digest, entry.size) for name, entry in members.items()]
    return stored(store, encode_tree(rows), Kind.DIRECTORY)


def put(store: ObjectStore, entry: Entry, root: Path, path: str) -> None:
    materialise(Building(store, ("reflink", "copy"), SILENT), entry, str(root), path)


def test_files_folders_links_and_modes(store: ObjectStore, root: Path) -> None:
    inner = folder(store, run=stored(store, b"#!", Kind.EXECUTABLE), empty=folder(store))
    link = stored(store, b"inner/run", Kind.SYMLINK)
    put(store, folder(store, inner=inner, link=link, f=stored(store, b"text")), root, "a/b/out")
    out = root / "a/b/out"
    assert (out / "f").read_bytes() == b"text"
    assert os.access(out / "inner/run", os.X_OK) and not os.access(out / "f", os.X_OK)
    assert os.readlink(out / "link") == "inner/run"
    assert list((out / "inner/empty").iterdir()) == []
    assert os.listdir(root / "a/b") == ["out"]


def test_a_copy_may_be_written_without_harm_to_the_cache(store: ObjectStore, root: Path) -> None:
    entry = stored(store, b"text")
    put(store, entry, root, "out")
    (root / "out").write_bytes(b"changed")
    assert store.read(entry.digest) == b"text"


def test_nothing_is_replaced(store: ObjectStore, root: Path) -> None:
    (root / "out").write_text("mine")
    with pytest.raises(FileExistsError):
        put(store, stored(store, b"text"), root, "out")
    assert (root / "out").read_text() == "mine"
    assert os.listdir(root) == ["out"]


def test_what_is_missing_leaves_nothing_behind(store: ObjectStore, root: Path) -> None:
    lacking = Entry(Kind.FILE, digest_bytes(b"nowhere"), 7)
    entry = folder(store, a=stored(store, b"1"), b=lacking)
    with pytest.raises(MissingObjectError):
        put(store, entry, root, "out")
    assert os.listdir(root) == []
    missing = objects_of(store, entry)
    assert missing is not None and missing.digest == lacking.digest


def test_what_is_damaged_leaves_nothing_behind(store: ObjectStore, root: Path) -> None:
    entry = folder(store, a=stored(store, b"abc"))
    path = store.path(digest_bytes(b"abc"))
    os.chmod(path, 0o644)
    Path(path).write_bytes(b"abX")
    with pytest.raises(DamagedError):
        put(store, entry, root, "out")
    assert os.listdir(root) == []


def test_what_a_kill_left_is_cleared_away(store: ObjectStore, root: Path) -> None:
    left = ".gitml-new-" + digest_bytes(b"out").hex[:16]
    (root / left / "half").mkdir(parents=True)
    put(store, stored(store, b"text"), root, "out")
    assert os.listdir(root) == ["out"]


@pytest.mark.parametrize("text", [b"/etc/passwd", b"../x", b"a/../../../x", b"../../x"])
def test_a_link_that_leads_outside_is_refused(text: bytes, store: ObjectStore, root: Path) -> None:
    with pytest.raises(DamagedError):
        put(store, stored(store, text, Kind.SYMLINK), root, "out")
    with pytest.raises(DamagedError):
        put(
            store,
            folder(store, link=stored(store, b"../" + text if text[:1] != b"/" else text, Kind.SYMLINK)),
            root,
            "o",
        )
    assert os.listdir(root) == []


@pytest.mark.parametrize(
    ("path", "text"), [("a/b/l", b"../../x"), ("a/l", b".././x"), ("l", b"./x"), ("l", b"nowhere")]
)
def test_a_link_that_stays_inside_is_fine(path: str, text: bytes) -> None:
    check_link(path, text)


def test_a_link_that_climbs_from_what_may_be_a_link_is_refused() -> None:
    """`a/b/up -> ../..` is inside, and so seems `a/b/l -> up/../..`, but that leads above the project."""
    check_link("a/b/up", b"../..")
    with pytest.raises(DamagedError):
        check_link("a/b/l", b"up/../..")


def test_a_tree_with_a_name_that_climbs_is_refused(store: ObjectStore, root: Path) -> None:
    evil = HEADER + b"f" + (1).to_bytes(8, "big") + store.add_bytes(b"x").raw + b"../evil\0"
    with pytest.raises(DamagedError):
        put(store, stored(store, evil, Kind.DIRECTORY), root, "out")
    assert os.listdir(root) == []
    assert not (root.parent / "evil").exists()


def test_an_object_that_claims_to_be_a_tree_is_checked(store: ObjectStore) -> None:
    with pytest.raises(DamagedError):
        objects_of(store, stored(store, b"no tree", Kind.DIRECTORY))


def test_a_link_on_the_way_is_not_followed(store: ObjectStore, root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (root / "a").symlink_to(tmp_path / "outside")
    with pytest.raises(UsageError):
        put(store, stored(store, b"text"), root, "a/out")
    assert os.listdir(tmp_path / "outside") == []


def test_an_object_that_is_cut_short_is_missing(store: ObjectStore) -> None:
    entry = stored(store, b"abc")
    assert objects_of(store, Entry(Kind.FILE, entry.digest, 99)) is not None
    assert objects_of(store, entry) is None
    assert objects_of(store, Entry(Kind.FILE, Digest.parse(entry.digest), 3)) is None


def test_a_tree_that_is_nested_too_deeply_is_refused(store: ObjectStore, root: Path) -> None:
    entry = stored(store, b"x")
    for _ in range(2000):
        entry = folder(store, a=entry)
    with pytest.raises(DamagedError, match="deeper than 300"):
        objects_of(store, entry)
    with pytest.raises(DamagedError, match="deeper than 300"):
        put(store, entry, root, "out")
    assert os.listdir(root) == []
