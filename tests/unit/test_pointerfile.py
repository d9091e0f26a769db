"""Pointer files: where they lie, their bytes, and what is refused of those that others wrote."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitml.errors import EXIT_USAGE
from gitml.hashing.file import digest_bytes
from gitml.manifest.pointerfile import (
    MAX_BYTES,
    ConflictedPointerError,
    PointerFileError,
    decode_pointer,
    encode_pointer,
    pointer_path,
)
from gitml.model.path import PathError, check_path
from gitml.model.source import Pointer
from gitml.model.tree import Entry, Kind

X = digest_bytes(b"x")
POINTER = Pointer(path="data/raw", entry=Entry(Kind.DIRECTORY, X, 5, 2))
FILE = ".gitml/sources/data/raw.json"
GOLDEN = f"""\
{{
  "entry": {{
    "digest": "{X}",
    "files": 2,
    "mode": "directory",
    "size": 5
  }},
  "format": 1,
  "path": "data/raw"
}}
"""
NAMES = st.text(alphabet=st.sampled_from("aAbé.~%\n\udcff js onJSON"), min_size=1, max_size=8)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


def usual(path: str) -> bool:
    try:
        return check_path(path) == path != "."
    except PathError:
        return False


def test_the_bytes_are_a_function_of_the_pointer() -> None:
    assert encode_pointer(POINTER) == GOLDEN.encode()


def test_a_downloaded_source_has_its_url_and_etag() -> None:
    pointer = Pointer(path="a", entry=Entry(Kind.FILE, X, 1), url="https://example.org/ä", etag='"1"')
    data = json.loads(encode_pointer(pointer))
    assert (data["url"], data["etag"]) == ("https://example.org/ä", '"1"')
    assert "files" not in data["entry"]


@given(PATHS.filter(usual))
@example("a/b\udcff")
def test_what_is_written_is_read_and_is_json_for_everyone(path: str) -> None:
    pointer = Pointer(path=path, entry=Entry(Kind.FILE, X, 1), url="u", etag="e")
    data = encode_pointer(pointer)
    data.decode("utf-8")
    assert decode_pointer(pointer_path(path), data) == pointer


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("data/raw", "data/raw.json"),
        ("a.json/b", "a%2Ejson/b.json"),
        ("a.json", "a.json.json"),
        (".hidden/x.csv", "%2Ehidden/x.csv.json"),
        ("a b", "a%20b.json"),
        ("é", "%C3%A9.json"),
        ("a~b", "a%7Eb.json"),
    ],
)
def test_the_file_mirrors_the_path(path: str, file: str) -> None:
    assert pointer_path(path) == f".gitml/sources/{file}"


@given(st.lists(PATHS.filter(usual), min_size=2, max_size=2, unique=True))
@example(["a", "a.json/b"])
@example(["A", "a"])
@example(["A/x", "a/x"])
@example(["a" * 200, "a" * 201])
@example(["é" * 2000, "é" * 2001])
def test_no_two_pointers_meet_even_where_case_is_folded(paths: list[str]) -> None:
    one, other = (pointer_path(path).casefold() for path in paths)
    assert one != other
    assert not other.startswith(one + "/") and not one.startswith(other + "/")


@pytest.mark.parametrize("path", ["a" * 255, "/".join(["é" * 100] * 20), "A" * 255])
def test_names_fit_into_every_file_system(path: str) -> None:
    file = pointer_path(path)
    assert len(file) < 1100
    assert all(len(part) <= 255 for part in file.split("/"))
    assert decode_pointer(file, encode_pointer(Pointer(path=path, entry=POINTER.entry))).path == path


def changed(**fields: Any) -> bytes:
    table = json.loads(GOLDEN) | fields
    return json.dumps({name: value for name, value in table.items() if value is not None}).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"nonsense",
        b"[" * 100_000,
        changed(format=None),
        changed(format=True),
        changed(format="1"),
        changed(format=0),
        changed(path="data/other"),
        changed(path="../data/raw"),
        changed(path="/data/raw"),
        changed(path="./data/raw"),
        changed(path="data/raw/"),
        changed(path="."),
        changed(path=".git/hooks"),
        changed(path=7),
        changed(entry=None),
        changed(entry=[]),
        changed(entry={"mode": "symlink", "digest": str(X), "size": 1}),
        changed(entry={"mode": "device", "digest": str(X), "size": 1}),
        changed(entry={"mode": "file", "digest": "md5:1", "size": 1}),
        changed(entry={"mode": "file", "digest": str(X), "size": -1}),
        changed(entry={"mode": "file", "digest": str(X), "size": 1.5}),
        changed(entry={"mode": "file", "digest": str(X), "size": 1 << 80}),
        changed(url=5),
        changed(etag=["x"]),
        changed(command="rm -rf /"),
        b" " * (MAX_BYTES + 1),
    ],
    ids=lambda data: data[:40].decode(),
)
def test_a_file_that_is_no_pointer_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(PointerFileError) as caught:
        decode_pointer(FILE, data)
    assert caught.value.path == FILE
    assert FILE in str(caught.value)
    assert caught.value.exit_code == EXIT_USAGE


def test_a_newer_format_asks_for_an_update() -> None:
    with pytest.raises(PointerFileError, match="format 2 is newer") as caught:
        decode_pointer(FILE, changed(format=2, shape="unknown"))
    assert caught.value.hint == "update gitml"
    assert caught.value.exit_code == EXIT_USAGE


def test_conflict_markers_are_told_apart() -> None:
    with pytest.raises(ConflictedPointerError, match="conflict markers"):
        decode_pointer(FILE, GOLDEN.replace('  "format"', "<<<<<<< HEAD\n  ").encode())
