from __future__ import annotations

import ast
import hashlib
import json
import subprocess
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import gitml
from gitml.hashing.pylexer import DEDENT, HEADER, INDENT, LINE, LexError, encode, lex
from tests.unit.pyemit import emit
from tests.unit.pythons import FULL, interpreters, library, own_library

# Run by other interpreters, which have nothing installed: only the standard library may be needed.
_STREAMS = """
import hashlib, json, sys
from gitml.hashing.pylexer import LexError, encode, lex
for path in json.load(sys.stdin):
    with open(path, "rb") as file:
        data = file.read()
    try:
        print(hashlib.sha256(encode(lex(data).texts)).hexdigest())
    except LexError as error:
        print(error.line, error)
"""


def texts(source: bytes) -> list[bytes]:
    return [text for text in lex(source).texts if text not in (LINE, INDENT, DEDENT)]


def same(*sources: bytes) -> bool:
    return len({encode(lex(source).texts) for source in sources}) == 1


def test_splits_a_line_into_typed_tokens():
    assert encode(lex(b"x = 'a'\n").texts) == (HEADER + b"n\0\0\0\0" + b"N\0\0\0\1x" + b"O\0\0\0\1=" + b"S\0\0\0\3'a'")


def test_marks_nesting_and_closes_it_at_the_end():
    assert lex(b"if x:\n  y\nz\nif a:\n b").texts == [
        *(LINE, b"if", b"x", b":", LINE, INDENT, b"y", LINE, DEDENT, b"z"),
        *(LINE, b"if", b"a", b":", LINE, INDENT, b"b", DEDENT),
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"x=1\n", b"x = 1"),
        (b"x = 1\n", b"\n\n# hello\nx = 1  # there\n   # end"),
        (b"f(1, 2)\n", b"f(1,\n  # why\n  2\n)\n"),
        (b"x = 1 + 2\n", b"x = 1 + \\\n   2\n"),
        (b"x = 1\ny = 2\n", b"x = 1\r\ny = 2\r\n"),
        (b"x = 1\ny = 2\n", b"x = 1\ry = 2\r"),
        (b"x = 1\n", b"\xef\xbb\xbfx = 1\n"),
        (b"x = '''a\nb'''\n", b"x = '''a\r\nb'''\r\n"),
        (b"if x:\n    y\n    z\n", b"if x:\n\ty\n\n\tz\n"),
        (b"x = 1\n", b"# -*- coding: utf-8 -*-\nx = 1\n"),
        (b"x = 1\n", b"x = 1  # type: ignore[assignment]\n"),
        (b"class A:\n  x\n", b"class A:\n\f  x\n"),
        (b"x = 1\ny\n", b"x = 1 \\\n\ny\n"),
    ],
)
def test_layout_does_not_matter(one: bytes, other: bytes):
    assert same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"x = 1\n", b"x = 2\n"),
        (b"def f():\n  'doc'\n", b"def f():\n  'dok'\n"),
        (b"x = 'a'\n", b'x = "a"\n'),
        (b"x = r'a'\n", b"x = 'a'\n"),
        (b"if x:\n  y\n  z\n", b"if x:\n  y\nz\n"),
        (b"x\ny\n", b"x; y\n"),
        (b"ab\n", b"a b\n"),
        (b"x = 1_000\n", b"x = 1000\n"),
        (b"x = 1\n", b"#!/usr/bin/python\nx = 1\n"),
        (b"x = 1\n", b"x = 1  # type: int\n"),
        (b"x = 1  # type: int\n", b"x = 1\n# type: int\n"),
        (b"x = f'{ a }'\n", b"x = f'{a}'\n"),
        (b"# /// script\n# a = 1\n# ///\nx\n", b"# /// script\n# a = 2\n# ///\nx\n"),
        (b"# /// script\n# a = 1\n# ///\nx\n", b"x\n"),
    ],
)
def test_what_means_something_matters(one: bytes, other: bytes):
    assert not same(one, other)


def test_a_comment_beside_a_script_block_is_dropped():
    block = b"# /// script\n# dependencies = []\n# ///\n"
    assert same(block + b"x\n", b"# before\n\n" + block + b"\n# after\nx\n", b"x\n" + block)


@pytest.mark.parametrize(
    "source",
    [
        b"f'{x}'",
        b"f'a{{b}}c'",
        b"f'{x!r:>{width}}'",
        b'f"{x["a"]}"',
        b'f"{f"{f"{1}"}"}"',
        b"f'{x:{'{'}>10}'",
        b"f'{x!=y}'",
        b"f'{x:=5}'",
        b"f'{lambda_(lambda: 1)}'",
        b"f'{d[1:2]}'",
        b"f'{ {1: 2}[1] }'",
        b"f'{x = }'",
        b"f'{\n x  # a comment }\n}'",
        b"f'''{\nx\n:>{\nw}}'''",
        b"f'''it's {x}'''",
        b"f'''{x:'}'''",
        b"rf'\\{x}'",
        b"f'\\N{LEFT CURLY BRACKET}'",
        b"f'\\N{DASH} {x}'",
        b"f'\\'{x}\\\n'",
        b"fr'\\''",
        b"Rb'\\''",
        b"f'{\"\\n\".join(x)}'",
        b"f'{'\\n'.join(x)}'",
        b"t'{x} and {y!s}'",
        b"f'{x:%H:%M}'",
        b'f""',
        b"f''''''",
        b"f'{'''a\n'b'''}'",
        b"f'\\{x}'",
    ],
)
def test_an_interpolated_string_is_one_token(source: bytes):
    assert texts(b"x = " + source + b" + 1\n") == [b"x", b"=", source, b"+", b"1"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (b"if(n:=f(x))>1:pass", b"if ( n := f ( x ) ) > 1 : pass"),
        (b"match x:\n case[1,*_]:pass", b"match x : case [ 1 , * _ ] : pass"),
        (b"def f[T:int=str,**P](x:T)->T:...", b"def f [ T : int = str , ** P ] ( x : T ) -> T : ..."),
        (b"type X=int", b"type X = int"),
        (b"1_0.0_1e-1_0j 0x_fF 0b_1 0o_7 1. .5 1.e3 1J 00", b"1_0.0_1e-1_0j 0x_fF 0b_1 0o_7 1. .5 1.e3 1J 00"),
        (b"1if x else 2", b"1 if x else 2"),
        (b"1..real", b"1. . real"),
        (b"a**=b//=c>>=d<<=e@=f", b"a **= b //= c >>= d <<= e @= f"),
        (b"x[...,::2]", b"x [ ... , : : 2 ]"),
        (b"if'a'in'b'or f'c':0", b"if 'a' in 'b' or f'c' : 0"),
        (b"from...a import(b)", b"from ... a import ( b )"),
        ("größe = π_2".encode(), "größe = π_2".encode()),
        (b"async def f():await x", b"async def f ( ) : await x"),
        (b"''''a'''\"\"", b"''''a''' \"\""),
        (b"try:0\nexcept*E:1", b"try : 0 except * E : 1"),
    ],
)
def test_splits_every_syntax_of_every_version(source: bytes, expected: bytes):
    assert b" ".join(texts(source)) == expected


@pytest.mark.parametrize(
    "source",
    [
        b"x = 'abc\n",
        b"x = '''abc'\n",
        b"x = f'{x'\n",
        b"x = f'{x}\n'\n",
        b"x = f'}'\n",
        b"x = f'{(x]['a']}'\n",
        b"f(1\n",
        b"f(1]\n",
        b"f)\n",
        b"if x:\n    y\n  z\n",
        b"if x:\n        y\n\tz\n",
        b"x = 1 \\",
        b"x = 1 \\\n",
        b"x = 1 \\ \ny",
        b"if x:\n  \\\n  y\n",
        b"x = 1\0\n",
        b"x = '\xff'\n",
        b"x = $\n",
        b"x = !y\n",
        b"print `x`\n",
        b"# coding: latin-1\nx = 1\n",
        b"\n# vim: set fileencoding=cp1252 :\nx = 1\n",
        b"x = 1\x01\n",
        b"f'" + b"{f'" * 200,
    ],
)
def test_refuses_what_is_not_python(source: bytes):
    with pytest.raises(LexError):
        lex(source)


def test_numbers_the_line_that_it_refuses():
    with pytest.raises(LexError) as caught:
        lex(b"x = 1\n\ny = (\n]\n")
    assert caught.value.line == 4


def test_an_encoding_counts_only_in_the_first_two_lines_and_before_code():
    lex(b"#\n#\n# coding: latin-1\n")
    lex(b"x = 1\n# coding: latin-1\n")


@pytest.mark.parametrize("name", [b"utf-8", b"UTF8", b"utf_8", b"utf-8-unix", b"utf-8-sig"])
def test_takes_every_spelling_of_utf8(name: bytes):
    assert same(b"# -*- coding: " + name + b" -*-\nx\n", b"x\n")


def test_takes_every_file_that_its_own_python_parses():
    refused = []
    for path in own_library():
        data = path.read_bytes()
        try:
            lex(data)
        except LexError as error:
            if "encoding" not in str(error) and _parses(data):
                refused.append((str(path), error.line, str(error)))
    assert not refused


def test_tokens_written_back_mean_the_same():
    for path in own_library():
        data = path.read_bytes()
        try:
            found = lex(data).texts
        except LexError:
            continue
        if _parses(data):
            assert _tree(emit(found)) == _tree(data), path


def test_every_interpreter_gives_the_same_tokens():
    """The analysis runs under each Python, over the standard library of each."""
    paths = [str(path) for python in interpreters().values() for path in library(python)]
    expected = [_stream(Path(path).read_bytes()) for path in paths]
    assert sum(len(line) == 64 for line in expected) > 0.99 * len(paths)
    root = str(Path(gitml.__file__).parents[1])
    for version, python in interpreters().items():
        done = subprocess.run(
            [python, "-c", _STREAMS],
            input=json.dumps(paths),
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"},
        )
        assert done.stdout.splitlines() == expected, version


@pytest.mark.skipif(len(interpreters()) < 3 and not FULL, reason="one interpreter cannot disagree with itself")
def test_several_interpreters_were_compared():
    assert {"3.10", "3.12"} <= set(interpreters())


_SAMPLES = [p for p in own_library() if 200 < p.stat().st_size < 20_000 and b"coding" not in p.read_bytes()[:200]]


@settings(max_examples=400 if FULL else 60, deadline=None, suppress_health_check=list(HealthCheck))
@given(path=st.sampled_from(_SAMPLES), random=st.randoms(use_true_random=False))
def test_no_layout_changes_the_tokens(path: Path, random):
    try:
        found = lex(path.read_bytes()).texts
    except LexError:
        return
    assert lex(emit(found, random.choice)).texts == found


@settings(max_examples=400 if FULL else 60, deadline=None, suppress_health_check=list(HealthCheck))
@given(path=st.sampled_from(_SAMPLES), random=st.randoms(use_true_random=False))
def test_any_changed_token_changes_the_stream(path: Path, random):
    try:
        found = lex(path.read_bytes()).texts
    except LexError:
        return
    before = encode(found)
    places = [i for i, text in enumerate(found) if text not in (LINE, INDENT, DEDENT)]
    assume(places)
    at = random.choice(places)
    kind = random.choice(("drop", "double", "change"))
    middle = {"drop": [], "double": [found[at]] * 2, "change": [_other(found[at])]}[kind]
    changed = found[:at] + middle + found[at + 1 :]
    assert encode(changed) != before
    try:
        written = lex(emit(changed)).texts
    except (LexError, IndexError):  # no longer balanced
        return
    assert encode(written) != before


def _other(text: bytes) -> bytes:
    return text[:-1] + b"q" + text[-1:] if text[-1:] in b"'\"" else text + b"q" if text.isalnum() else b"~"


def _stream(data: bytes) -> str:
    try:
        return hashlib.sha256(encode(lex(data).texts)).hexdigest()
    except LexError as error:
        return f"{error.line} {error}"


def _parses(data: bytes) -> bool:
    try:
        _tree(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _tree(data: bytes) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.dump(ast.parse(data))
