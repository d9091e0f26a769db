from __future__ import annotations

import datetime
import itertools
import math
from typing import Any

import pytest

from gitml.hashing.file import digest_bytes
from gitml.hashing.key import key_of
from gitml.model.recipe import FORMAT, Recipe
from gitml.model.value import canonical, from_json, to_json

UTC = datetime.timezone.utc
GOLDEN: list[tuple[Any, bytes]] = [
    (None, b"null"),
    (True, b"true"),
    (1, b"1"),
    (1.0, b"1.0"),
    (-0.0, b"-0.0"),
    (1e-3, b"0.001"),
    (2**70, b"1180591620717411303424"),
    ("1", b'"1"'),
    ("é\u2028", '"é\u2028"'.encode()),
    (math.inf, b'{"$float":"inf"}'),
    (-math.inf, b'{"$float":"-inf"}'),
    (math.nan, b'{"$float":"nan"}'),
    (datetime.date(2024, 1, 2), b'{"$date":"2024-01-02"}'),
    (datetime.time(3, 4, 5), b'{"$time":"03:04:05"}'),
    (datetime.datetime(2024, 1, 2, 3, 4), b'{"$datetime":"2024-01-02T03:04:00"}'),
    (datetime.datetime(2024, 1, 2, 3, 4, tzinfo=UTC), b'{"$datetime":"2024-01-02T03:04:00+00:00"}'),
    ([], b"[]"),
    ({}, b"{}"),
    ([1, [2.0, None]], b"[1,[2.0,null]]"),
    ({"b": 1, "a": {"z": [], "y": "x"}}, b'{"a":{"y":"x","z":[]},"b":1}'),
    ({"$float": "nan"}, b'{"$$float":"nan"}'),
    ({"$": 1}, b'{"$$":1}'),
    ("2024-01-02", b'"2024-01-02"'),
    (False, b"false"),
    (0, b"0"),
    (0.0, b"0.0"),
]


@pytest.mark.parametrize(("value", "encoded"), GOLDEN)
def test_the_encoding_of_a_value_is_pinned(value: Any, encoded: bytes) -> None:
    assert canonical(value) == encoded


def test_no_two_of_these_values_meet() -> None:
    for (_, one), (_, other) in itertools.combinations(GOLDEN, 2):
        assert one != other


def test_the_order_of_a_table_does_not_matter() -> None:
    assert canonical({"a": 1, "b": 2}) == canonical({"b": 2, "a": 1})


@pytest.mark.parametrize(
    "data", [{"$date": "never"}, {"$float": 1}, {"$what": "x"}, {"$float": "x"}, {"$a": 1, "b": 2}]
)
def test_a_tag_that_is_never_written_is_refused(data: object) -> None:
    with pytest.raises(ValueError):
        from_json(data)


def test_what_is_no_parameter_is_refused() -> None:
    with pytest.raises(TypeError):
        to_json(b"bytes")  # type: ignore[arg-type]


def test_the_key_of_a_recipe_is_pinned() -> None:
    recipe = Recipe(parts={"command": {"run": ["echo"], "shell": None, "cwd": "."}, "param:lr": 0.1, "input:x": None})
    assert FORMAT == 1, "released formats keep their meaning: a new one comes beside this test, not in its place"
    assert recipe.encoded() == (
        b'{"command":{"cwd":".","run":["echo"],"shell":null},"format":1,"input:x":null,"param:lr":0.1}'
    )
    assert key_of(recipe) == digest_bytes(recipe.encoded())
    assert key_of(recipe) == "blake3:a2e9fa6577135982fdfdffb69fa7db5d69536282e81495adda9feb9a18e3a4f8"


def test_blake3_is_what_others_call_by_that_name() -> None:
    """The first of the official test vectors."""
    assert digest_bytes(b"").hex == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
