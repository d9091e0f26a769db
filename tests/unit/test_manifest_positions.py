from __future__ import annotations

import tomli
from hypothesis import given
from hypothesis import strategies as st

from gitml.manifest.positions import locate, position_of

TEXT = '''\
# a comment with [brackets] and "quotes
title = "x"
[step.train]
run = """
first ${{ params.x }} "quoted\\"
second"""   # trailing
inputs = [ # comment ]
  "a", 'b,]',
  { path = "c", deep = [1, [2, 3]] },
]
resources.cpus = 4
"odd key".'x' = 1979-05-27 07:32:00
[[row]]
n = 1
[[row]]
n = 2
  [row.sub]
  m = { a = { b = 3 } }
'''


def place(*path, **options):
    position = locate(TEXT, path, **options)
    return position.line, position.column


def test_finds_keys_and_values():
    assert place("title") == (2, 1)
    assert place("title", value=True) == (2, 9)
    assert place("step") == (3, 2)
    assert place("step", "train") == (3, 7)
    assert place("step", "train", "run") == (4, 1)
    assert place("step", "train", "inputs", value=True) == (7, 10)
    assert place("step", "train", "resources", "cpus") == (11, 11)
    assert place("step", "train", "odd key", "x") == (12, 11)


def test_finds_elements_of_lists_across_lines_comments_and_strings_with_brackets():
    assert place("step", "train", "inputs", 0) == (8, 3)
    assert place("step", "train", "inputs", 1) == (8, 8)
    assert place("step", "train", "inputs", 2) == (9, 3)
    assert place("step", "train", "inputs", 2, "deep") == (9, 17)
    assert place("step", "train", "inputs", 2, "deep", 1, 1) == (9, 32)


def test_finds_rows_of_arrays_of_tables():
    assert place("row", 0, "n") == (14, 1)
    assert place("row", 1, "n") == (16, 1)
    assert place("row", 1, "sub", "m", "a", "b") == (18, 15)


def test_finds_text_within_a_value():
    assert place("step", "train", "run", within="${{ params.x }}") == (5, 7)
    assert place("step", "train", "run", value=True, within="not there") == (4, 7)


def test_a_path_that_is_not_there_is_shortened():
    assert place("step", "train", "nope", 3) == (3, 7)
    assert place("nope") == (1, 1)
    assert place() == (1, 1)


def test_gives_the_line_without_its_end():
    assert locate("a = 1\r\nb = 2\r\n", ("b",)).text == "b = 2"


def test_very_deep_values_are_skipped():
    text = "a = " + "[" * 300 + "']'" + "]" * 300 + "\nb = 1\n"
    assert locate(text, ("b",)).line == 2


@given(st.text())
def test_any_text_has_an_answer(text):
    position = locate(text, ("a", 0, "b"))
    assert 1 <= position.line <= text.count("\n") + 1


KEYS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=5)
SCALARS = st.one_of(st.integers(0, 9), st.booleans(), KEYS)
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(KEYS, v, max_size=3), max_leaves=8)


def quoted(text):
    return '"' + "".join(c if c.isalnum() else f"\\U{ord(c):08X}" for c in text) + '"'


def written(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list):
        return "[" + " , ".join(map(written, value)) + "]"
    return "{" + ", ".join(f"{quoted(k)} = {written(v)}" for k, v in value.items()) + "}"


def paths(value, at=()):
    items = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    for key, inner in items:
        yield (*at, key), inner
        yield from paths(inner, (*at, key))


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_every_value_is_found_where_it_is_written(table):
    text = "".join(f"{quoted(k)} = {written(v)} # x\n" for k, v in table.items())
    assert tomli.loads(text) == table
    for path, value in paths(table):
        found = locate(text, path, value=True)
        assert found.text[found.column - 1 :].startswith(written(value))


def test_an_offset_past_the_end_is_the_end():
    assert position_of("ab\ncd", 99).line == 2
