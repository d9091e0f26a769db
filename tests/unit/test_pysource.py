from __future__ import annotations

import ast
import json
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from gitml.hashing.pysource import PySource, analyse
from tests.unit.pythons import own_library

GOLDEN = """#!/usr/bin/env python
# /// script
# dependencies = ["numpy"]
# ///
\"\"\"Trains.\"\"\"
from __future__ import annotations
import os, sys

@decorated(depth=0x_F)
async def train[T](x: T = 1.5e-3, *, größe=b'\\x00') -> None:
    if (n := len(x)) > 10:  # why
        print(f"{n!r:>{width}} {x["a"]}", rf'{n}\\d')
    total = []  # type: list[int]
    match n:
        case [1, *_] | {"a": 2}: pass
    return (total @
            x)
"""


def test_golden_digests():
    """To change one of these is to raise `py/1`: every key with Python code in it would change."""
    assert analyse(b"").digest == "py/1:" + blake3(b"gitml-py/1\n").hexdigest()
    assert analyse(b"x = 1\n").digest == "py/1:1840c236b14a83b736abcb5a5c72a5092290914fb45cb7be7584d6c611162be7"
    assert analyse(GOLDEN.encode()).digest == "py/1:82dc72863406a01106f5f66fb0befb359cfb264221380a429e953b8ab2f1745c"


def test_the_digest_of_what_cannot_be_read_is_that_of_its_bytes():
    data = b"print 'hello\n"
    assert analyse(data).digest == "blake3:" + blake3(data).hexdigest()


def test_a_file_that_cannot_be_read_says_where_and_keeps_the_imports_before():
    source = analyse(b"import a\nx = $\nimport b\n")
    assert [i.module for i in source.imports] == ["a"]
    assert [(d.line, d.text) for d in source.dynamic] == [(2, "cannot be read as Python: b'$' is no token")]


def test_imports_of_a_file_in_another_encoding_are_found():
    source = analyse("# coding: latin-1\nimport a\nx = 'ä'\nimport b\n".encode("latin-1"))
    assert source.digest.startswith("blake3:")
    assert [i.module for i in source.imports] == ["a", "b"]
    assert source.dynamic


@pytest.mark.parametrize(
    ("text", "imports"),
    [
        ("import a", [(1, 0, "a", ())]),
        ("import a.b as c, d", [(1, 0, "a.b", ()), (1, 0, "d", ())]),
        ("x = 1; import a; y", [(1, 0, "a", ())]),
        ("if x: import a\nelse: import b", [(1, 0, "a", ()), (2, 0, "b", ())]),
        ("from . import x, y", [(1, 1, "", ("x", "y"))]),
        ("from .a.b import (c,\n  d as e,  # why\n)", [(1, 1, "a.b", ("c", "d"))]),
        ("from .... import x", [(1, 4, "", ("x",))]),
        ("from . .a import x", [(1, 2, "a", ("x",))]),
        ("from a import *", [(1, 0, "a", ("*",))]),
        ("from a import b; import c", [(1, 0, "a", ("b",)), (1, 0, "c", ())]),
        ("import a \\\n . b", [(1, 0, "a.b", ())]),
        ("def f():\n\n  try:\n    import a\n  except E:\n    from b import c", [(4, 0, "a", ()), (6, 0, "b", ("c",))]),
        ("if TYPE_CHECKING:\n  from a import B", [(2, 0, "a", ("B",))]),
        ("def f():\n  yield from g\n  raise E from e\n", []),
        ("x = 'import a'\n# import b\nf'{x} import c'", []),
        ("import größe", [(1, 0, "größe", ())]),
        ('importlib.import_module("a.b")', [(1, 0, "a.b", ())]),
        ('import_module("a.b", package=None)', [(1, 0, "a.b", ())]),
        ('import_module(".b", __package__)', [(1, 1, "b", ())]),
        ('import_module("..b", package=__package__)', [(1, 2, "b", ())]),
        ('__import__("a.b")', [(1, 0, "a.b", ())]),
        ('__import__("a", globals(), locals(), ["b"], 0)', [(1, 0, "a", ("b",))]),
        ("def import_module(name): pass", []),
    ],
)
def test_finds_imports_wherever_they_stand(text: str, imports: list[tuple[object, ...]]):
    source = analyse(text.encode())
    assert [tuple(i) for i in source.imports] == imports
    assert source.dynamic == ()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("importlib.import_module(name)", "importlib.import_module(name)"),
        ("x = import_module(f'a.{b}', c)", "import_module(f'a.{b}', c)"),
        ("import_module('a.' + b)", "import_module('a.'+b)"),
        ("import_module('a' 'b')", "import_module('a''b')"),
        ("import_module('.a', package=p)", "import_module('.a', package=p)"),
        ("map(importlib.import_module, names)", "importlib.import_module"),
        ("from importlib import import_module as load", "import_module as load"),
        ("__import__(a.b)", "__import__(a.b)"),
        ("__import__('a', fromlist=names)", "__import__('a', fromlist=names)"),
        ("__import__('a', level=1)", "__import__('a', level=1)"),
        ("runpy.run_path('x.py')", "runpy.run_path('x.py')"),
        ("runpy.run_module(m)", "runpy.run_module(m)"),
        ("importlib.util.spec_from_file_location(a, b)", "importlib.util.spec_from_file_location(a, b)"),
        ("for m in pkgutil.walk_packages(p): pass", "pkgutil.walk_packages(p)"),
        ("exec(open(p).read())", "exec(open(p).read())"),
        ("exec(compile(path.read_text(), p, 'exec'))", "exec(compile(path.read_text(), p, 'exec'))"),
        ("import sys\nsys.path.insert(0, 'lib')", "sys.path.insert(0, 'lib')"),
        ("sys.path += ['lib']", "sys.path"),
    ],
)
def test_reports_imports_that_only_a_run_can_resolve(text: str, shown: str):
    assert [d.text for d in analyse(text.encode()).dynamic] == [shown]


@pytest.mark.parametrize("text", ["exec('x = 1')", "eval(code)", "os.path.join(a)", "sys.path", "x.exec(open(p))"])
def test_does_not_report_what_loads_no_module(text: str):
    assert analyse(text.encode()).dynamic == ()


def test_a_dynamic_import_is_told_with_its_line_and_not_at_length():
    (found,) = analyse(b"\n\nimport_module(\n" + b"a + " * 50 + b"b)\n").dynamic
    assert found.line == 3
    assert len(found.text) == 80


def test_exports_are_the_literal_names_of_all():
    assert analyse(b"__all__ = ['a', \"b\"]\n__all__ += ('c',)\n").exports == ("a", "b", "c")
    assert analyse(b"__all__: list[str] = ['a']\n").exports == ("a",)
    assert analyse(b"__all__ = names()\nx = [__all__, 'b']\n").exports == ()


def test_finds_the_same_imports_as_the_syntax_tree():
    for path in own_library():
        tree = _tree(path)
        if tree is None:
            continue
        found = Counter(tuple(i)[1:] for i in analyse(path.read_bytes()).imports)
        expected = Counter(_imports(tree))
        assert not expected - found, path
        called = {
            arg.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            for arg in node.args[:1]
            if isinstance(arg, ast.Constant)
        }
        assert {module for _, module, _ in found - expected} <= called, path


def test_survives_a_cache():
    source = analyse(b"import a\nfrom .b import c\nimport_module(x)\n__all__ = ['y']\n")
    assert PySource.from_json(json.loads(json.dumps(source.to_json()))) == source


@pytest.mark.parametrize("data", [None, [], ["x"], {"a": 1}, ["d", [[1]], [], []], ["d", [[1, 0, "a", 5]], [], []]])
def test_a_damaged_cache_is_refused(data: object):
    with pytest.raises(ValueError):
        PySource.from_json(data)


def _tree(path: Path) -> ast.AST | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            return None


def _imports(tree: ast.AST) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.level, node.module or "", tuple(alias.name for alias in node.names))
