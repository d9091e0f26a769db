from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gitml.hashing.file import digest_bytes
from gitml.model.recipe import Recipe
from gitml.model.run import Run
from gitml.model.tree import Entry, Kind
from gitml.store.store import Store

KEY = digest_bytes(b"key")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.at(str(tmp_path / "cache"))


def run(store: Store, run_id: str, text: bytes = b"text") -> Run:
    outputs = {"out": Entry(Kind.FILE, store.objects.add_bytes(text), len(text))}
    return Run(id=run_id, step="a", key=KEY, recipe=Recipe(parts={"command": "x"}), outputs=outputs)


def test_a_run_comes_back(store: Store) -> None:
    one = run(store, "20240101-aa")
    store.runs.add(one)
    assert store.runs.of_key(KEY) == [one]
    assert list(store.runs.all()) == [one]
    assert store.runs.of_key(digest_bytes(b"other")) == []


def test_the_newest_run_comes_first(store: Store) -> None:
    for run_id in ("20240101-aa", "20240103-aa", "20240102-aa"):
        store.runs.add(run(store, run_id))
    assert [one.id[:8] for one in store.runs.of_key(KEY)] == ["20240103", "20240102", "20240101"]


def test_runs_are_found_by_the_beginning_of_their_id(store: Store) -> None:
    store.runs.add(run(store, "20240101-aa"))
    assert [one.id for one in store.runs.find("20240101")] == ["20240101-aa"]
    assert store.runs.find("2023") == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:50],
        lambda data: b"",
        lambda data: b"[" * 100_000,
        lambda data: data.replace(b'"exit_code":0', b'"exit_code":1e999'),
        lambda data: data.replace(b'"metrics":{}', b'"metrics":{"x":NaN}'),
        lambda data: data.replace(b'"out":', b'"../out":'),
        lambda data: data.replace(b'"out":', b'"\\ud800":'),
        lambda data: data.replace(b"blake3:", b"md5:"),
    ],
)
def test_a_record_that_was_damaged_is_no_run(store: Store, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    store.runs.add(run(store, "20240101-aa"))
    store.runs.add(run(store, "20240102-aa"))
    (path,) = (tmp_path / "cache" / "runs").rglob("*20240102-aa*")
    path.write_bytes(damage(path.read_bytes()))
    assert [one.id for one in store.runs.of_key(KEY)] == ["20240101-aa"]


def test_the_newest_run_is_served(store: Store) -> None:
    store.runs.add(run(store, "20240101-aa", b"old"))
    store.runs.add(run(store, "20240102-aa", b"new"))
    found = store.servable(KEY, declared={"out"}, preferred={}, present={})
    assert found is not None and found.id == "20240102-aa"


def test_the_run_that_the_lock_names_is_preferred(store: Store) -> None:
    old = run(store, "20240101-aa", b"old")
    store.runs.add(old)
    store.runs.add(run(store, "20240102-aa", b"new"))
    found = store.servable(KEY, declared={"out"}, preferred=old.outputs, present={})
    assert found is not None and found.id == "20240101-aa"


@pytest.mark.parametrize("change", [{"exit_code": 1}, {"tainted": ("x",)}])
def test_a_run_that_went_wrong_is_never_served(store: Store, change: dict[str, object]) -> None:
    store.runs.add(replace(run(store, "20240101-aa"), **change))  # type: ignore[arg-type]
    assert store.servable(KEY, declared={"out"}, preferred={}, present={}) is None


def test_a_tainted_run_is_served_once_accepted(store: Store) -> None:
    store.runs.add(replace(run(store, "20240101-aa"), tainted=("x",), accepted="it was a comment"))
    assert store.servable(KEY, declared={"out"}, preferred={}, present={}) is not None


def test_a_run_whose_objects_are_gone_is_served_only_where_the_worktree_has_them(store: Store) -> None:
    one = run(store, "20240101-aa")
    store.runs.add(one)
    os.unlink(store.objects.path(one.outputs["out"].digest))
    assert store.servable(KEY, declared={"out"}, preferred={}, present={}) is None
    assert store.servable(KEY, declared={"out"}, preferred={}, present=one.outputs) == one


def test_an_older_run_is_served_where_the_newer_is_incomplete(store: Store) -> None:
    new = run(store, "20240102-aa", b"new")
    store.runs.add(run(store, "20240101-aa", b"old"))
    store.runs.add(new)
    os.unlink(store.objects.path(new.outputs["out"].digest))
    found = store.servable(KEY, declared={"out"}, preferred={}, present={})
    assert found is not None and found.id == "20240101-aa"


def test_a_run_that_names_other_outputs_than_are_declared_is_not_served(store: Store) -> None:
    store.runs.add(run(store, "20240101-aa"))
    assert store.servable(KEY, declared={"out", "more"}, preferred={}, present={}) is None
    assert store.servable(KEY, declared={"other"}, preferred={}, present={}) is None
