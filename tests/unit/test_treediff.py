"""Comparing two folders by their tree objects."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gitml.errors import DamagedError
from gitml.hashing.file import digest_bytes
from gitml.model.digest import Digest
from gitml.model.tree import Kind, TreeEntry, decode_tree, encode_tree
from gitml.project.treediff import MOST, PathChange, compare_folders

Folder = dict[str, "Folder | bytes"]
NAMES = st.sampled_from(["a", "b", "c", "d"])
FOLDERS = st.recursive(
    st.dictionaries(NAMES, st.binary(max_size=1), max_size=3),
    lambda inner: st.dictionaries(NAMES, inner | st.binary(max_size=1), max_size=3),
    max_leaves=12,
)


class Objects:
    """Tree objects in memory."""

    def __init__(self) -> None:
        self.data: dict[Digest, bytes] = {}
        self.read: list[Digest] = []

    def add(self, folder: Folder) -> Digest:
        entries = []
        for name, inner in folder.items():
            if isinstance(inner, bytes):
                entries.append(TreeEntry(name, Kind.FILE, digest_bytes(inner), len(inner)))
            else:
                entries.append(TreeEntry(name, Kind.DIRECTORY, self.add(inner), 0))
        data = encode_tree(entries)
        self.data[digest_bytes(data)] = data
        return digest_bytes(data)

    def members(self, digest: Digest) -> list[TreeEntry]:
        self.read.append(digest)
        if digest not in self.data:
            raise DamagedError("gone")
        return decode_tree(self.data[digest])


def expected(before: Folder, after: Folder, prefix: str = "") -> set[tuple[str, str]]:
    found = set()
    for name in before.keys() | after.keys():
        one, other = before.get(name), after.get(name)
        if other is None:
            found.add((prefix + name, "removed"))
        elif one is None:
            found.add((prefix + name, "added"))
        elif isinstance(one, dict) and isinstance(other, dict):
            found |= expected(one, other, f"{prefix}{name}/")
        elif one != other:
            found.add((prefix + name, "changed"))
    return found


@given(FOLDERS, FOLDERS)
def test_every_difference_is_found_and_nothing_else(before: Folder, after: Folder) -> None:
    objects = Objects()
    changes = compare_folders(objects.add(before), objects.add(after), objects.members, objects.members)
    assert changes is not None
    assert {(row.path, row.change) for row in changes.rows} == expected(before, after)
    assert changes.total == len(changes.rows)


def test_equal_subfolders_are_not_opened() -> None:
    objects = Objects()
    before = objects.add({"same": {"x": b"1"}, "other": {"y": b"1"}})
    after = objects.add({"same": {"x": b"1"}, "other": {"y": b"2"}})
    changes = compare_folders(before, after, objects.members, objects.members)
    assert changes is not None
    assert changes.rows == (PathChange(path="other/y", change="changed", size=1),)
    assert objects.add({"x": b"1"}) not in objects.read


def test_what_is_too_much_to_list_is_counted() -> None:
    objects = Objects()
    after = objects.add({f"f{number:05}": b"" for number in range(MOST + 5)})
    changes = compare_folders(objects.add({}), after, objects.members, objects.members)
    assert changes is not None
    assert (len(changes.rows), changes.total) == (MOST, MOST + 5)


def test_a_record_that_is_gone_gives_no_answer() -> None:
    objects = Objects()
    gone = digest_bytes(b"gone")
    assert compare_folders(gone, objects.add({"a": b""}), objects.members, objects.members) is None
