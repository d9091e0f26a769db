from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitml.errors import UsageError
from gitml.manifest import codec, keys
from gitml.manifest.load import MAX_BYTES, load
from gitml.manifest.problems import ManifestError
from gitml.model.step import Step
from tests.unit.manifest_project import compiled, load_files, problem, told

ROOT = Path(__file__).parents[2]


def one_of(files):
    with pytest.raises(ManifestError) as caught:
        load_files(files)
    (only,) = caught.value.problems
    return only


def test_reads_gitml_toml_or_pyproject():
    text = "[step.a]\nrun = 'x'\n"
    own = load_files({"gitml.toml": text, "pyproject.toml": "[project]\nname = 'gitml-thing'\n"})
    shared = load_files({"pyproject.toml": "[project]\n[tool.gitml.step.a]\nrun = 'x'\n"})
    assert own.steps == shared.steps
    assert (own.files, shared.files) == (("gitml.toml",), ("pyproject.toml",))


@pytest.mark.parametrize("files", [{}, {"pyproject.toml": "[tool.other]\n"}, {"pyproject.toml": "tool = 3\n"}])
def test_without_a_declaration_the_hint_is_init(files):
    with pytest.raises(UsageError) as caught:
        load_files(files)
    assert caught.value.hint == "gitml init"


def test_two_declarations_are_refused():
    one = one_of({"gitml.toml": "", "pyproject.toml": "[tool.gitml]\n"})
    assert (one.file, one.line, one.column) == ("pyproject.toml", 1, 7)


def test_mistakes_in_pyproject_stand_there():
    one = one_of({"pyproject.toml": "[tool.gitml]\n[tool.gitml.step.a]\nrun = 'x'\nretries = 'y'\n"})
    assert (one.file, one.line, one.column) == ("pyproject.toml", 4, 11)
    assert one_of({"pyproject.toml": "[tool]\ngitml = 3\n"}).message == "tool.gitml must be a table"


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [("a = \n", 1, 5), ("[a\n", 1, 3), ("a = 1\r\nb = 1\r\nc = ]\r\n", 3, 5), ("[a]\nb = 1\nb = 2\n", 3, 6)],
)
def test_a_mistake_in_syntax_is_told_alone(text, line, column):
    one = problem(text)
    assert one.message.startswith("this is not TOML: ")
    assert (one.line, abs(one.column - column) <= 1) == (line, True)
    assert one.text == text.splitlines()[line - 1]


def test_bytes_that_are_no_utf8_are_shown():
    one = one_of({"gitml.toml": b"# caf\xc3\xa9\nrun = 'a\xffb'\nx"})
    assert (one.line, one.column, one.message) == (2, 9, "byte 0xff is not UTF-8")
    assert one.text == "run = 'a\ufffdb'"


def test_a_byte_order_mark_is_let_be():
    assert load_files({"gitml.toml": b"\xef\xbb\xbf[step.a]\nrun = 'x'\n"}).steps


def test_a_file_of_more_than_8_mib_is_refused():
    assert "at most" in one_of({"gitml.toml": b"#" * (MAX_BYTES + 1)}).message


@pytest.mark.parametrize(("depth", "message"), [(70, "deeper than 64"), (300, "deeper than 64"), (5000, "too deeply")])
def test_deep_nesting_is_one_message(depth, message):
    assert message in problem("[params]\na = " + "[" * depth + "]" * depth).message


def test_nothing_outside_the_project_is_read():
    asked = []

    def read(path):
        asked.append(path)
        manifest = b"[project]\nparams = ['/a.toml', '../b.json']\nenvironment = '/uv.lock'\n"
        return manifest + b"[step.s]\nrun = 'x'\npackages = ['p']\n" if path == "gitml.toml" else None

    with pytest.raises(ManifestError):
        load(read)
    assert asked == ["gitml.toml", "pyproject.toml"]


def test_an_integer_that_is_too_long_is_one_message():
    problem("a = " + "9" * 6000)


def test_a_later_version_is_told_before_anything_else():
    assert told("[project]\nmin_version = '99.1'\nnew = 1\n[brand_new]\n")[:2] == (2, 15)
    assert compiled("[project]\nmin_version = '0.0'\n").steps == {}
    assert told("[project]\nmin_version = 'soon'\n")[2] == "cannot read the version 'soon'"
    assert told("[project]\nmin_version = 3\n")[2] == "expected a string, found an integer"


def test_roots():
    assert compiled("").roots == (".", "src")
    assert compiled("[project]\nroots = ['lib/']\n").roots == ("lib",)
    assert told("[project]\nroots = ['/lib']\n")[:2] == (2, 10)


# the compiled form

EVERYTHING = """
[source."raw/a.csv"]
url = "https://example.org/a.csv"
md5 = "d41d8cd98f00b204e9800998ecf8427e"
[project]
params = ["p.json"]
environment = "requirements.txt"
[params]
seed = 7
when = 2024-01-01T00:00:00Z
"$x" = inf
[step.a]
run = ["x ${{ params.seed }}", "y"]
outputs = ["o/${{ matrix.i.k }}", { path = "g/${{ matrix.i.k }}", git = true, push = false, remote = "r" }]
metrics = ["m/${{ matrix.i.k }}.json"]
plots = [{ path = "p/${{ matrix.i.k }}.csv", cache = false }]
matrix.i = [{ k = 1 }, { k = "one" }]
params = ["when", "t", "\\"$x\\""]
code = ["c/*.py", { path = "x", exact = true }]
env = ["A"]
secrets = ["B"]
packages = ["Torch"]
resources = { cpus = 1.5, gpus = 1, memory = 3 }
timeout = 1.5
retries = 3
always = true
labels = ["l"]
description = "d"
[step.b]
argv = ["x", "y z"]
inputs = ["o"]
after = ["a"]
cwd = "w"
shell = "bash"
frozen = true
"""
FILES = {"p.json": '{"t": {"u": [1, null, NaN]}}', "requirements.txt": "torch==1 --hash=sha256:aa\n"}


def everything():
    return load_files({"gitml.toml": EVERYTHING, **FILES})


def test_the_compiled_form_survives_json():
    pipeline = everything()
    again = codec.from_json(json.loads(json.dumps(codec.to_json(pipeline))))
    assert repr(again) == repr(pipeline)  # NaN is not equal to itself
    assert codec.to_json(again) == codec.to_json(pipeline)


def test_the_compiled_form_has_every_field_of_a_step():
    assert set(codec._OWN) | set(codec._COMMON) == set(Step.__slots__)


def test_compiling_twice_gives_the_same():
    assert repr(everything()) == repr(everything())
    assert everything().files == ("gitml.toml", "p.json", "requirements.txt")


@pytest.mark.parametrize(
    "spoil", [lambda d: d[:-1], lambda d: [0, *d[1:]], lambda d: [*d[:9], [[1]], d[10]], lambda d: {}]
)
def test_a_damaged_compiled_form_is_refused(spoil):
    with pytest.raises(ValueError, match="compiled pipeline"):
        codec.from_json(spoil(codec.to_json(everything())))


STEPS = st.lists(
    st.fixed_dictionaries(
        {"run": st.just('"x ${{ params.n }}"')},
        optional={
            "matrix": st.sampled_from(['{ i = [1, "1", 2.5] }', '[{ i = "a b" }, { i = true }]']),
            "inputs": st.sampled_from(['["a", "b/*"]', "[]"]),
            "params": st.sampled_from(['["n"]', '["t"]', '["t.u"]']),
            "retries": st.integers(0, 3).map(str),
            "env": st.sampled_from(['["A"]', '["A", "B"]']),
            "cwd": st.sampled_from(['"w"', '"."']),
            "description": st.text(st.characters(codec="ascii", categories=["L", "N"])).map(json.dumps),
        },
    ),
    max_size=6,
)


@given(STEPS)
def test_encoding_and_decoding_is_the_identity(tables):
    text = "[params]\nn = 1\nt = { u = [1.5, 2024-01-01] }\n"
    for number, table in enumerate(tables):
        text += f"[step.s{number}]\n" + "".join(f"{key} = {value}\n" for key, value in table.items())
    pipeline = compiled(text)
    assert codec.from_json(json.loads(json.dumps(codec.to_json(pipeline)))) == pipeline


# robustness and speed

SEED = EVERYTHING.encode()
MUTATION = st.tuples(
    st.integers(0, len(SEED)),
    st.integers(0, 12),
    st.one_of(
        st.binary(max_size=4),
        st.sampled_from(
            [
                b"[",
                b"]",
                b"{",
                b"}",
                b'"',
                b"'",
                b'"""',
                b"=",
                b"\n",
                b"${{",
                b"}}",
                b"\\",
                b"1",
                b"nan",
                b"..",
                b"*",
                b"/",
            ]
        ),
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(MUTATION, min_size=1, max_size=4))
def test_no_input_ends_in_a_traceback(mutations):
    data = SEED
    for start, length, new in mutations:
        data = data[:start] + new + data[start + length :]
    try:
        load_files({"gitml.toml": data, **FILES})
    except UsageError as error:
        assert str(error)
        for one in getattr(error, "problems", ()):
            assert one.line >= 1
            assert one.column >= 1


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
        lambda v: (
            st.lists(v, max_size=3)
            | st.dictionaries(st.sampled_from(["path", "git", "cpus", "memory", "i", "run"]), v, max_size=3)
        ),
        max_leaves=8,
    ),
    st.sampled_from([key.name for key in keys.STEP.keys]),
)
def test_no_value_of_any_key_ends_in_a_traceback(value, key):
    def toml(inner):
        if inner is None:
            return "1979-05-27"
        if isinstance(inner, str):
            return '"' + "".join(f"\\U{ord(c):08X}" for c in inner) + '"'
        if isinstance(inner, bool):
            return str(inner).lower()
        if isinstance(inner, list):
            return "[" + ", ".join(map(toml, inner)) + "]"
        if isinstance(inner, dict):
            return "{" + ", ".join(f"{k} = {toml(v)}" for k, v in inner.items()) + "}"
        return repr(inner)

    text = "[step.s]\n" + ("" if key in ("run", "argv") else "run = 'x'\n") + f"{key} = {toml(value)}\n"
    try:
        compiled(text)
    except ManifestError as error:
        assert error.problems


def thousand():
    text = "[params]\ntrain = { lr = 0.1, epochs = 5 }\nseed = 7\n"
    for i in range(1000):
        text += (
            f"[step.s{i}]\nrun = 'python -m pkg.m{i} --lr ${{{{ params.train.lr }}}}'\n"
            f"inputs = ['data/{i}.csv', 'out/{i - 1}.csv']\noutputs = ['out/{i}.csv']\nmetrics = ['m/{i}.json']\n"
            f"params = ['train.epochs', 'seed']\nresources = {{ cpus = 1 }}\ndescription = 'step {i}'\n"
        )
    return {"gitml.toml": text.encode()}


def best(function):
    times = []
    for _ in range(5):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def test_a_thousand_steps_are_quick():
    files = thousand()
    data = codec.to_json(load(files.get))
    assert best(lambda: load(files.get)) < 0.6  # 0.09 s on an idle machine; slack for a busy one
    assert best(lambda: codec.from_json(data)) < 0.05  # 7 ms on an idle machine


def test_loading_imports_no_yaml():
    code = "import sys, gitml.manifest.load; print([m for m in sys.modules if 'yaml' in m])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert shown.stdout.strip() == "[]"


def test_the_demo_compiles():
    demo = ROOT / "gitml" / "demo"
    found = load(lambda path: (demo / path).read_bytes() if (demo / path).is_file() else None)
    assert found.upstream["report"]


def test_the_example_of_the_design_compiles():
    text = (ROOT / "docs" / "design.md").read_text().split("```toml\n")[1].split("```")[0]
    text = text.replace("9f86d081…", "9f86d081" * 8)
    lock = 'version = 1\n[[package]]\nname = "torch"\nversion = "2.0"\n'
    found = load_files({"gitml.toml": text, "params.toml": "", "uv.lock": lock})
    assert list(found.sources) == ["data/raw/labels.csv"]
    assert list(found.steps) == ["prepare", "train@fold=0", "train@fold=1", "train@fold=2", "report"]
    assert found.upstream["report"] == ("train@fold=0", "train@fold=1", "train@fold=2")
