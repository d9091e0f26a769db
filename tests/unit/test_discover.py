from __future__ import annotations

import pytest

from gitml.engine.discover import (
    CodeError,
    Declared,
    Discoverer,
    Discovery,
    Found,
    Imported,
    Named,
    Started,
    discover,
)
from gitml.hashing.pysource import PySource, analyse
from gitml.model.glob import compile_glob
from gitml.model.path import is_glob, is_within
from gitml.model.step import Code, Command, Output, Step

ROOTS = (".", "src")


class FakeFiles:
    """Files in memory: those that Git holds, with their text, and those that it ignores. Counts what is analysed."""

    def __init__(self, held: dict[str, str], ignored: tuple[str, ...] = ()) -> None:
        self.held = held
        self.ignored = ignored
        self.analysed: list[str] = []

    def is_file(self, path: str) -> bool:
        return path in self.held

    def is_dir(self, path: str) -> bool:
        return any(is_within(name, path) and name != path for name in self.held)

    def is_ignored(self, path: str) -> bool:
        if path in self.held or self.is_dir(path):
            return False
        return any(is_within(name, path) for name in self.ignored)

    def source(self, path: str) -> PySource:
        self.analysed.append(path)
        return analyse(self.held[path].encode())

    def glob(self, pattern: str) -> list[str]:
        if is_glob(pattern):
            return sorted(filter(compile_glob(pattern), self.held))
        return sorted(name for name in self.held if is_within(name, pattern))


def step(*commands: str, **fields: object) -> Step:
    return Step(id="s", name="s", commands=tuple(Command(text=c) for c in commands), **fields)  # type: ignore[arg-type]


def found_by(text: str, held: dict[str, str], ignored: tuple[str, ...] = (), **fields: object) -> Discovery:
    return discover(step(text, **fields), ROOTS, FakeFiles(held, ignored))


def paths(text: str, held: dict[str, str], **fields: object) -> list[str]:
    return list(found_by(text, held, **fields).found)


def test_a_script_and_what_it_imports_are_code_with_the_reason():
    files = {
        "train.py": "import torch\nimport lib.net as net\n",
        "lib/__init__.py": "",
        "lib/net.py": "from . import loss\n",
    }
    files |= {"lib/loss.py": "", "lib/unused.py": "", "README": ""}
    discovery = found_by("python train.py", files)
    assert dict(discovery.found) == {
        "lib/__init__.py": Found(path="lib/__init__.py", exact=False, via=Imported("train.py", 2, "lib.net")),
        "lib/loss.py": Found(path="lib/loss.py", exact=False, via=Imported("lib/net.py", 1, "lib.loss")),
        "lib/net.py": Found(path="lib/net.py", exact=False, via=Imported("train.py", 2, "lib.net")),
        "train.py": Found(path="train.py", exact=False, via=Started()),
    }
    assert list(discovery.found) == sorted(discovery.found)
    assert str(discovery.found["lib/loss.py"].via) == "imported by lib/net.py:1 as lib.loss"


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("import a", ["a/__init__.py"]),
        ("import a.b.c", ["a/__init__.py", "a/b/__init__.py", "a/b/c.py"]),
        ("from a import b", ["a/__init__.py", "a/b/__init__.py"]),
        ("from a.b import c, d", ["a/__init__.py", "a/b/__init__.py", "a/b/c.py"]),
        ("from a.b.c import f", ["a/__init__.py", "a/b/__init__.py", "a/b/c.py"]),
        ("from a import *", ["a/__init__.py", "a/star.py"]),
        ("import a.missing", ["a/__init__.py"]),
        ("import os, numpy.linalg", []),
        ("import top", ["top.py"]),
        ("import top.no", ["top.py"]),
        ("def f():\n  if x:\n    import top", ["top.py"]),
        ("importlib.import_module('a.b')", ["a/__init__.py", "a/b/__init__.py"]),
        ("import stub", []),
        ("import ext", ["ext.so"]),
        ("from a import _native", ["a/__init__.py", "a/_native.cpython-311-x86_64-linux-gnu.so"]),
        ("import inner", ["src/inner.py"]),
        ("import ns.mod", ["ns/mod.py"]),
        ("from ns import mod, far", ["ns/mod.py", "src/ns/far.py"]),
        ("import ns", []),
    ],
)
def test_resolves_as_python_does(statement: str, expected: list[str]):
    held = dict.fromkeys(
        ("a/b/__init__.py", "a/b/c.py", "a/star.py", "top.py", "stub.pyi", "ext.so", "src/inner.py", "ns/mod.py"), ""
    )
    held |= {"a/__init__.py": "__all__ = ['star', 'f']", "src/ns/far.py": "", "x.py": statement}
    held["a/_native.cpython-311-x86_64-linux-gnu.so"] = ""
    found = paths("python x.py", held)
    found.remove("x.py")
    assert found == expected


def test_an_extension_module_is_keyed_by_its_bytes():
    found = found_by("python x.py", {"x.py": "import ext", "ext.so": "\0"}).found
    assert found["ext.so"].exact
    assert not found["x.py"].exact


def test_the_folder_of_the_script_comes_first():
    held = {"tools/x.py": "import lib", "tools/lib.py": "", "lib.py": "", "src/lib.py": ""}
    assert paths("python tools/x.py", held) == ["tools/lib.py", "tools/x.py"]


def test_also_for_imports_of_what_it_imports():
    held = {"tools/x.py": "import a", "a.py": "import b", "tools/b.py": "", "b.py": ""}
    assert paths("python tools/x.py", held) == ["a.py", "tools/b.py", "tools/x.py"]


def test_the_first_root_wins():
    held = {"x.py": "import lib", "lib.py": "", "src/lib.py": ""}
    assert paths("python x.py", held) == ["lib.py", "x.py"]
    assert list(discover(step("python x.py"), ("src", "."), FakeFiles({**held, "t/x.py": ""})).found) == [
        "lib.py",
        "x.py",
    ]
    assert list(discover(step("python -m x"), ("src", "."), FakeFiles(held)).found) == ["src/lib.py", "x.py"]


def test_a_module_of_the_repository_hides_one_of_the_standard_library():
    assert paths("python x.py", {"x.py": "import random, json", "src/random.py": ""}) == ["src/random.py", "x.py"]


def test_a_package_in_a_later_root_wins_over_a_folder_without_init():
    held = {"x.py": "import p.m", "p/m.py": "", "src/p/__init__.py": "", "src/p/m.py": ""}
    assert paths("python x.py", held) == ["src/p/__init__.py", "src/p/m.py", "x.py"]


def test_a_package_wins_over_a_module_of_its_name():
    assert paths("python x.py", {"x.py": "import p", "p/__init__.py": "", "p.py": ""}) == ["p/__init__.py", "x.py"]


def test_relative_imports_climb_from_the_package():
    held = {
        "a/__init__.py": "",
        "a/b/__init__.py": "from ..d import e",
        "a/b/c.py": "from . import f\nfrom .. import g",
    }
    held |= {"a/b/f.py": "", "a/g.py": "", "a/d/__init__.py": "", "a/d/e.py": ""}
    assert paths("python -m a.b.c", held) == sorted(held)


def test_a_relative_import_in_a_script_cannot_be_followed():
    discovery = found_by("python a/x.py", {"a/__init__.py": "", "a/x.py": "from . import y", "a/y.py": ""})
    assert list(discovery.found) == ["a/x.py"]
    assert [str(d) for d in discovery.dynamic] == ["a/x.py:1: from . import y has no package to start from"]


def test_a_relative_import_beyond_the_top_cannot_be_followed():
    discovery = found_by("python -m a.x", {"a/__init__.py": "", "a/x.py": "from ...b import y"})
    assert [(d.path, d.line) for d in discovery.dynamic] == [("a/x.py", 1)]


def test_cycles_of_imports_end():
    held = {"a.py": "import b", "b.py": "import a, b"}
    assert paths("python a.py", held) == ["a.py", "b.py"]


def test_a_package_is_run_by_its_main_module():
    held = {"src/p/__init__.py": "", "src/p/__main__.py": "from .m import f", "src/p/m.py": ""}
    assert paths("python -m p", held) == sorted(held)
    held = {"app/__main__.py": "import m", "app/m.py": ""}
    assert paths("python app", held) == sorted(held)


def test_a_module_that_is_installed_is_not_code():
    assert paths("python -m pip install x", {"x.py": ""}) == []


def test_modules_are_looked_up_in_the_working_folder_last():
    assert paths("python -m m", {"sub/m.py": "import n", "sub/n.py": ""}, cwd="sub") == ["sub/m.py", "sub/n.py"]
    assert paths("python -m m", {"sub/m.py": "", "m.py": ""}, cwd="sub") == ["m.py"]


def test_python_text_in_the_command_is_followed_from_the_working_folder():
    discovery = found_by("python -c 'import lib; importlib.import_module(x)'", {"sub/lib.py": ""}, cwd="sub")
    assert discovery.found["sub/lib.py"].via == Imported(None, 1, "lib")
    assert str(discovery.found["sub/lib.py"].via) == "imported by the command as lib"
    assert [str(d) for d in discovery.dynamic] == ["the command: importlib.import_module(x)"]


def test_paths_of_a_command_start_at_its_folder():
    held = {"sub/train.py": "", "sub/conf.yaml": "", "top.txt": "", "train.py": ""}
    assert paths("python train.py conf.yaml ../top.txt ../../beyond", held, cwd="sub") == [
        "sub/conf.yaml",
        "sub/train.py",
        "top.txt",
    ]


def test_other_words_that_name_held_files_are_code_by_their_bytes():
    held = {"run.sh": "", "conf.yaml": "", "a/1.sql": "", "a/2.sql": "", "tool.py": "import lib", "lib.py": ""}
    found = found_by("./run.sh --config=conf.yaml a/*.sql tool.py nothing a", held).found
    assert list(found) == ["a/1.sql", "a/2.sql", "conf.yaml", "run.sh", "tool.py"]
    assert all(f.exact and f.via == Named() for f in found.values())


def test_words_that_are_inputs_or_outputs_are_not_code():
    held = dict.fromkeys(("run.sh", "data/a.csv", "b.csv", "c/d.csv", "out.txt", "f.cfg"), "")
    discovery = found_by(
        "./run.sh data/a.csv b.csv c/d.csv out.txt f.cfg",
        held,
        inputs=("data", "b.csv", "c/*.csv"),
        outputs=(Output(path="out.txt", git=True),),
    )
    assert list(discovery.found) == ["f.cfg", "run.sh"]


def test_a_python_digest_wins_over_a_word():
    found = found_by("cat lib.py; python x.py lib.py", {"x.py": "import lib", "lib.py": ""}).found
    assert not found["lib.py"].exact


def test_words_of_an_argv_are_found_as_well():
    one = Step(id="s", name="s", commands=(Command(argv=("python", "x.py", "c d.yaml")),))
    assert list(discover(one, ROOTS, FakeFiles({"x.py": "", "c d.yaml": ""})).found) == ["c d.yaml", "x.py"]


def test_pythonpath_in_a_command_comes_before_the_roots():
    held = {"x.py": "import m", "lib/m.py": "", "src/m.py": ""}
    assert paths("PYTHONPATH=lib python x.py", held) == ["lib/m.py", "x.py"]


# What Git does not hold


def test_an_import_of_an_ignored_file_fails_naming_both():
    with pytest.raises(CodeError) as caught:
        found_by("python x.py", {"x.py": "\nimport lib.gen", "lib/__init__.py": ""}, ("lib/gen.py",))
    assert caught.value.message == ("step s: lib/gen.py is ignored by Git, but it is imported by x.py:2 as lib.gen")
    assert caught.value.path == "lib/gen.py"
    assert "git add -f lib/gen.py" in (caught.value.hint or "")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("ignored", ["p/__init__.py", "p.py", "src/p.py", "p.so"])
def test_any_kind_of_ignored_module_fails(ignored: str):
    with pytest.raises(CodeError, match="is ignored by Git"):
        found_by("python x.py", {"x.py": "import p"}, (ignored,))


def test_a_module_in_an_ignored_folder_fails():
    with pytest.raises(CodeError, match=r"gen/m\.py is ignored"):
        found_by("python x.py", {"x.py": "from gen import m"}, ("gen/m.py",))


def test_an_ignored_folder_that_only_shares_the_name_of_an_installed_package_is_harmless():
    assert list(
        found_by("python x.py", {"x.py": "import wandb\nfrom wandb.sdk import y"}, ("wandb/run-1/log",)).found
    ) == ["x.py"]


def test_a_held_module_found_first_hides_an_ignored_one():
    assert list(found_by("python x.py", {"x.py": "import p", "p.py": ""}, ("src/p.py",)).found) == ["p.py", "x.py"]


def test_an_ignored_module_that_is_an_input_is_keyed_there():
    held = {"x.py": "import gen.m, p"}
    ignored = ("gen/m.py", "p.py")
    assert list(found_by("python x.py", held, ignored, inputs=("gen", "*.py")).found) == ["x.py"]
    with pytest.raises(CodeError, match=r"p\.py"):
        found_by("python x.py", held, ignored, inputs=("gen",))


def test_a_script_that_is_missing_or_ignored_fails():
    with pytest.raises(CodeError, match=r"step s: sub/x\.py, which its command starts, does not exist"):
        found_by("python x.py", {"x.py": ""}, cwd="sub")
    with pytest.raises(CodeError, match=r"x\.py is ignored by Git, but it is started by the command"):
        found_by("python x.py", {}, ("x.py",))
    with pytest.raises(CodeError, match=r"p/m\.py, which its command starts, does not exist"):
        found_by("python -m p.m", {"p/__init__.py": ""})
    with pytest.raises(CodeError, match=r"p/__main__\.py, which"):
        found_by("python -m p", {"p/__init__.py": ""})
    with pytest.raises(CodeError, match=r"m\.py is ignored"):
        found_by("python -m m", {}, ("m.py",))


def test_a_script_that_another_step_makes_is_no_code():
    assert paths("python gen/x.py", {}, inputs=("gen",)) == []
    assert paths("python gen/x.py", {}, inputs=("gen/*.py",)) == []
    assert list(found_by("python gen/x.py", {}, ("gen/x.py",), inputs=("gen/x.py",)).found) == []


# Declared code


def test_declared_code_is_a_file_a_folder_or_a_glob():
    held = {"a.sql": "", "b/c.txt": "", "b/d/e.py": "import f", "f.py": "", "g/h.py": "", "g/i.txt": ""}
    found = found_by("make", held, code=(Code(path="a.sql"), Code(path="b"), Code(path="g/*.py"))).found
    assert {p: f.exact for p, f in found.items()} == {
        "a.sql": True,
        "b/c.txt": True,
        "b/d/e.py": False,
        "f.py": False,
        "g/h.py": False,
    }
    assert found["b/c.txt"].via == Declared("b")
    assert found["f.py"].via == Imported("b/d/e.py", 1, "f")


def test_exact_code_is_keyed_by_bytes_even_where_it_is_imported():
    held = {"x.py": "import lib", "lib.py": "import more", "more.py": ""}
    for code in (
        (Code(path="lib.py", exact=True), Code(path="*.py")),
        (Code(path="*.py"), Code(path="lib.py", exact=True)),
    ):
        found = found_by("python x.py", held, code=code).found
        assert {p: f.exact for p, f in found.items()} == {"x.py": False, "lib.py": True, "more.py": False}


def test_exact_code_alone_is_not_followed():
    assert paths("make", {"lib.py": "import more", "more.py": ""}, code=(Code(path="lib.py", exact=True),)) == [
        "lib.py"
    ]


def test_declared_python_knows_its_package():
    held = {"src/p/__init__.py": "", "src/p/plugins/__init__.py": "", "src/p/plugins/a.py": "from ..base import B"}
    held |= {"src/p/base.py": ""}
    assert paths("make", held, code=(Code(path="src/p/plugins/*.py"),)) == sorted(held)


def test_declared_python_that_is_a_script_finds_its_neighbours():
    held = {"my-tools/x.py": "import y", "my-tools/y.py": ""}
    assert paths("make", held, code=(Code(path="my-tools/x.py"),)) == sorted(held)


def test_declared_code_that_matches_nothing_fails():
    with pytest.raises(CodeError, match=r"no file that Git holds matches code b/\*\.py"):
        found_by("make", {"a.py": ""}, code=(Code(path="b/*.py"),))
    with pytest.raises(CodeError, match=r"b\.py is ignored by Git, but it is declared as code b\.py"):
        found_by("make", {}, ("b.py",), code=(Code(path="b.py"),))


# What cannot be followed, and what is remembered


def test_dynamic_imports_of_all_reached_files_are_reported():
    held = {"x.py": "import a\nimport_module(n)", "a.py": "\n\nrunpy.run_path(p)", "b.py": "import_module(q)"}
    assert [str(d) for d in found_by("python x.py; python $Y", held).dynamic] == [
        "the command: $Y names a script only when it runs",
        "a.py:3: runpy.run_path(p)",
        "x.py:2: import_module(n)",
    ]


def test_probed_paths_are_those_whose_appearance_would_change_the_result():
    held = {"x.py": "import lib.m", "src/lib/__init__.py": "", "src/lib/m.py": ""}
    before = found_by("python x.py conf.yaml", held)
    for new in ("lib/__init__.py", "lib.py", "src/lib/m/__init__.py", "conf.yaml"):
        assert new in before.probed, new
        assert found_by("python x.py conf.yaml", {**held, new: ""}).found != before.found, new
    assert set(before.found) <= before.probed


def test_a_file_is_looked_at_once_for_all_steps():
    held = {"x.py": "import lib", "y.py": "import lib, x", "lib.py": "import more", "more.py": ""}
    files = FakeFiles(held)
    discoverer = Discoverer(files, ROOTS)
    for _ in range(3):
        assert list(discoverer.discover(step("python x.py")).found) == ["lib.py", "more.py", "x.py"]
        assert list(discoverer.discover(step("python y.py")).found) == ["lib.py", "more.py", "x.py", "y.py"]
    assert files.analysed.count("lib.py") == 1
    assert files.analysed.count("more.py") == 1


def test_the_order_of_steps_does_not_change_what_is_found():
    held = {"x.py": "import a, b", "y.py": "import b, a", "a.py": "import b", "b.py": "import a"}
    one, other = Discoverer(FakeFiles(held), ROOTS), Discoverer(FakeFiles(held), ROOTS)
    first, second = step("python x.py"), step("python y.py")
    forward = [one.discover(first), one.discover(second)]
    backward = [other.discover(second), other.discover(first)]
    assert forward == backward[::-1]
