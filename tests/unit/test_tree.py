from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml.hashing.file import digest_bytes
from gitml.model.path import PathError, check_name
from gitml.model.tree import HEADER, Kind, TreeEntry, TreeError, decode_tree, encode_tree

X = digest_bytes(b"x")
ENTRIES = [
    TreeEntry("é", Kind.SYMLINK, X, 3),
    TreeEntry("a", Kind.FILE, X, 1),
    TreeEntry("a.b", Kind.DIRECTORY, X, 2**40),
    TreeEntry("B", Kind.EXECUTABLE, X, 0),
]


def row(kind: bytes, size: int, name: bytes) -> bytes:
    return kind + size.to_bytes(8, "big") + X.raw + name + b"\0"


def test_the_bytes_of_a_tree_are_pinned() -> None:
    rows = [row(b"x", 0, b"B"), row(b"f", 1, b"a"), row(b"d", 2**40, b"a.b"), row(b"l", 3, "é".encode())]
    assert encode_tree(ENTRIES) == b"gitml-tree/1\n" + b"".join(rows)
    assert (
        digest_bytes(encode_tree(ENTRIES)) == "blake3:59d514071288ea0045fa04df82ad904127de58a410a25feaa76e1cb3479a8aae"
    )


def test_an_empty_folder_is_a_header_alone() -> None:
    assert encode_tree([]) == HEADER
    assert decode_tree(HEADER) == []


def test_names_that_are_not_utf8_come_back() -> None:
    name = os.fsdecode(b"\xff\xfe")
    assert decode_tree(encode_tree([TreeEntry(name, Kind.FILE, X, 1)]))[0].name == name


@pytest.mark.parametrize(
    "name", [b"", b".", b"..", b"a/b", b"/", b".git", b".GIT", b".gitml", b"git~1", b".git ", b".git\xe2\x80\x8c"]
)
def test_a_name_that_leads_elsewhere_is_refused(name: bytes) -> None:
    with pytest.raises(TreeError):
        decode_tree(HEADER + row(b"f", 1, name))


@given(st.text(alphabet=".gGiItTmMlL~1: aé\u200c\uff27", min_size=1, max_size=8))
def test_a_tree_takes_a_name_exactly_when_a_path_may_have_it(name: str) -> None:
    data = HEADER + row(b"f", 1, os.fsencode(name))
    try:
        check_name(name)
    except PathError:
        allowed = False
    else:
        allowed = name not in (".", "..")
    if allowed:
        assert [entry.name for entry in decode_tree(data)] == [name]
    else:
        with pytest.raises(TreeError):
            decode_tree(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        HEADER[:-1],
        b"gitml-tree/2\n",
        HEADER + b"f",
        HEADER + row(b"f", 1, b"a")[:-1],
        HEADER + row(b"?", 1, b"a"),
        HEADER + row(b"f", 1, b"b") + row(b"f", 1, b"a"),
        HEADER + row(b"f", 1, b"a") + row(b"d", 1, b"a"),
    ],
)
def test_bytes_that_are_no_tree_are_refused(data: bytes) -> None:
    with pytest.raises(TreeError):
        decode_tree(data)
