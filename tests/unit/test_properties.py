"""What must hold for every value: encodings lose nothing, keep apart what differs, and never fail in a strange way."""

from __future__ import annotations

import json
import math
import os
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from gitml.errors import GitmlError
from gitml.hashing.key import key_of
from gitml.manifest.lockfile import LockFileError, decode_lock, encode_lock
from gitml.model.path import PathError, check_path
from gitml.model.recipe import Recipe
from gitml.model.record import RecordError, lock_from_json, lock_to_json, run_from_json, run_to_json
from gitml.model.tree import HEADER, TreeEntry, TreeError, decode_tree, encode_tree
from gitml.model.value import canonical, from_json, to_json
from tests import strategies as own


def typed(value: Any) -> Any:
    """A form in which `==` tells apart what the key must tell apart: types, signs of zero, zones."""
    if isinstance(value, float):
        return ("float", "nan") if math.isnan(value) else ("float", repr(value))
    if isinstance(value, dict):
        return ("table", {name: typed(inner) for name, inner in value.items()})
    if isinstance(value, list):
        return ("list", [typed(inner) for inner in value])
    if hasattr(value, "isoformat"):
        return (type(value).__name__, value.isoformat())
    return (type(value).__name__, value)


@own.patiently
@given(own.values, own.values)
def test_two_values_have_one_encoding_exactly_when_they_are_equal(one: Any, other: Any) -> None:
    assert (canonical(one) == canonical(other)) == (typed(one) == typed(other))


@own.patiently
@given(own.values)
def test_a_value_comes_back_from_json(value: Any) -> None:
    assert typed(from_json(json.loads(json.dumps(to_json(value))))) == typed(value)


@own.patiently
@given(own.json_values)
def test_any_json_is_a_value_or_refused_as_none(data: Any) -> None:
    try:
        value = from_json(data)
    except ValueError:
        return
    assert typed(to_json(value)) == typed(data) or "$" in json.dumps(data)


@own.patiently
@given(own.tree_entries, st.randoms())
def test_the_order_of_a_listing_does_not_matter(entries: list[TreeEntry], random: Any) -> None:
    shuffled = list(entries)
    random.shuffle(shuffled)
    assert encode_tree(shuffled) == encode_tree(entries)


@own.patiently
@given(own.tree_entries)
def test_a_tree_comes_back(entries: list[TreeEntry]) -> None:
    decoded = decode_tree(encode_tree(entries))
    assert sorted(decoded) == sorted(entries)
    assert encode_tree(decoded) == encode_tree(entries)


@own.patiently
@given(st.binary() | st.binary().map(lambda data: HEADER + data))
def test_any_bytes_are_a_tree_or_refused_as_none(data: bytes) -> None:
    try:
        entries = decode_tree(data)
    except TreeError:
        return
    assert encode_tree(entries) == data


@own.patiently
@given(own.tree_entries, st.data())
def test_a_damaged_tree_is_refused_or_another_tree(entries: list[TreeEntry], data: st.DataObject) -> None:
    encoded = bytearray(encode_tree(entries))
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))
    try:
        found = decode_tree(bytes(encoded))
    except TreeError:
        return
    assert encode_tree(found) == bytes(encoded)


@own.patiently
@given(own.locks)
def test_a_lock_comes_back(lock: Any) -> None:
    assert decode_lock("lock", encode_lock(lock)) == lock
    assert lock_from_json(lock_to_json(lock)) == lock


@own.patiently
@given(own.runs)
def test_a_run_comes_back(run: Any) -> None:
    assert run_from_json(json.loads(json.dumps(run_to_json(run)))) == run


@own.patiently
@given(st.binary() | own.loaded_json.map(lambda data: json.dumps(data).encode()))
def test_any_bytes_are_a_lock_or_refused_as_none(data: bytes) -> None:
    try:
        decode_lock("lock", data)
    except LockFileError as error:
        assert error.path == "lock"


@own.patiently
@given(own.locks, st.data())
def test_a_lock_with_any_field_replaced_is_read_or_refused(lock: Any, data: st.DataObject) -> None:
    table = dict(lock_to_json(lock))
    name = data.draw(st.sampled_from(sorted(table)))
    table[name] = data.draw(own.loaded_json)
    try:
        found = lock_from_json(table)
    except RecordError:
        return
    assert decode_lock("lock", encode_lock(found)) == found
    for path in (*found.outputs, *found.subpaths):
        os.fsencode(path)


@own.patiently
@given(own.runs, st.data())
def test_a_run_with_any_field_replaced_is_read_or_refused(run: Any, data: st.DataObject) -> None:
    table = dict(run_to_json(run))
    name = data.draw(st.sampled_from(sorted(table)))
    table[name] = data.draw(own.loaded_json)
    try:
        found = run_from_json(table)
    except RecordError:
        return
    assert run_from_json(json.loads(json.dumps(run_to_json(found), allow_nan=False))) == found


@own.patiently
@given(own.loaded_json)
def test_any_json_is_a_run_or_refused_as_none(data: Any) -> None:
    try:
        run_from_json(data)
    except RecordError:
        return
    raise AssertionError("no such data is a run")


@own.patiently
@given(own.recipes, own.recipes)
def test_two_recipes_have_one_key_exactly_when_they_are_equal(one: Recipe, other: Recipe) -> None:
    assume("format" not in one.parts and "format" not in other.parts)
    assert (key_of(one) == key_of(other)) == (typed(dict(one.parts)) == typed(dict(other.parts)))


@own.patiently
@given(st.text())
def test_a_checked_path_is_its_own_spelling(text: str) -> None:
    try:
        checked = check_path(text)
    except PathError:
        return
    assert check_path(checked) == checked
    assert not checked.startswith("/") and ".." not in checked.split("/")


@own.patiently
@given(st.text())
def test_any_text_is_a_manifest_or_refused(text: str) -> None:
    from gitml.manifest.load import load

    data = text.encode("utf-8", "surrogatepass")
    try:
        load({"gitml.toml": data}.get)
    except GitmlError:
        return
