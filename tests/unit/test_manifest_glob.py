from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml.model.glob import compile_glob, compile_holder, literal_prefix

MATCHES = [
    ("*.csv", ["a.csv", "a b.csv"], ["a/b.csv", ".a.csv", "a.csvx", "a.txt"]),
    ("data/*", ["data/a", "data/a.b"], ["data", "data/", "data/.a", "data/a/b"]),
    ("data/.*", ["data/.a"], ["data/a", "data/x/.a"]),
    ("data/**", ["data/a", "data/a/b/c"], ["data", "data/.a", "data/a/.b", "datax/a"]),
    ("**/x.py", ["x.py", "a/x.py", "a/b/x.py"], [".a/x.py", "a/.b/x.py", "xx.py"]),
    ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["a/.x/b", "ab", "a/x"]),
    ("a/**/**/b", ["a/b", "a/x/y/b"], ["a"]),
    ("**", ["a", "a/b"], [".a", "a/.b"]),
    ("**/.x/*", [".x/a", "a/.x/a"], ["a/.y/a"]),
    ("a**b", ["ab", "axxb"], ["a/b"]),
    ("?.txt", ["a.txt"], [".txt", "ab.txt", "/.txt"]),
    ("a?b", ["axb"], ["a/b", "ab"]),
    ("[ab]x", ["ax", "bx"], ["cx"]),
    ("[!ab]x", ["cx"], ["ax", ".x", "/x"]),
    ("a[^b]c", ["axc"], ["abc", "a/c"]),
    ("[a-c]", ["a", "b", "c"], ["d", "-"]),
    ("[]]", ["]"], ["["]),
    ("[c-a]x", [], ["bx"]),
    ("x[*]", ["x*"], ["xa"]),
    ("x[a", ["x[a"], ["xa"]),
    ("*a*b*c", ["abc", "xaxbxc", "aabbcc"], ["acb", "abcd"]),
    ("a+(b)*", ["a+(b)", "a+(b)c"], ["aab"]),
    ("naïve/*", ["naïve/é"], ["naive/x"]),
    ("a*\n", ["ab\n", "a\n"], ["ab"]),
]


@pytest.mark.parametrize(("pattern", "yes", "no"), MATCHES)
def test_matches(pattern, yes, no):
    matches = compile_glob(pattern)
    assert [path for path in yes if not matches(path)] == []
    assert [path for path in no if matches(path)] == []


def slow(pattern, path):
    """The same meaning, by trying everything."""

    def names(parts, rest):
        if not parts:
            return not rest
        if parts[0] == "**":
            if len(parts) == 1:
                return bool(rest) and all(not r.startswith(".") for r in rest)
            return names(parts[1:], rest) or (bool(rest) and not rest[0].startswith(".") and names(parts, rest[1:]))
        return bool(rest) and name(parts[0], rest[0]) and names(parts[1:], rest[1:])

    def name(part, text):
        if text.startswith(".") and not part.startswith("."):
            return False
        return bool(text) and letters(part, text)

    def letters(part, text):
        if not part:
            return not text
        if part[0] == "*":
            return letters(part[1:], text) or (bool(text) and letters(part, text[1:]))
        return bool(text) and part[0] in ("?", text[0]) and letters(part[1:], text[1:])

    return names(pattern.split("/"), path.split("/"))


PATTERNS = st.lists(st.one_of(st.just("**"), st.text("ab.*?", min_size=1, max_size=5)), min_size=1, max_size=5).map(
    "/".join
)
PATHS = st.lists(st.text("ab.", min_size=1, max_size=5), min_size=1, max_size=6).map("/".join)


@given(PATTERNS, PATHS)
def test_means_the_same_as_trying_everything(pattern, path):
    assert compile_glob(pattern)(path) == slow(pattern, path)


@given(PATTERNS, PATHS, PATHS)
def test_a_folder_that_holds_a_match_could_hold_one(pattern, folder, rest):
    if compile_glob(pattern)(f"{folder}/{rest}"):
        assert compile_holder(pattern)(folder)


def test_holders_are_exact_without_double_stars():
    holds = compile_holder("models/*/x/[ab].pt")
    assert holds("models") and holds("models/m") and holds("models/m/x") and holds(".")
    assert not holds("models/m/y") and not holds("models/m/x/a.pt") and not holds("other")


@pytest.mark.parametrize("pattern", ["*a" * 25 + "b", "**/a/" * 12 + "b", "**/*a*/" * 8 + "c"])
def test_no_pattern_takes_long(pattern):
    matches = compile_glob(pattern)
    start = time.monotonic()
    assert not matches("a" * 200)
    assert not matches("a/" * 100 + "x")
    assert time.monotonic() - start < 1


def test_literal_prefix():
    assert literal_prefix("a/b*/c") == "a/b"
    assert literal_prefix("a/b") == "a/b"
    assert literal_prefix("[a]") == ""
