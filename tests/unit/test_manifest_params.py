from __future__ import annotations

import datetime
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitml.errors import UsageError
from gitml.manifest.params import parse
from tests.unit.manifest_project import compiled, load_files, problem, problems


def params(suffix, text):
    return parse(f"p{suffix}", text.encode())


def refused(suffix, text):
    head = f"[project]\nparams = ['p{suffix}']\n"
    return problem(head, **{f"p{suffix}".replace(".", "__"): text})


def test_reads_toml_json_and_yaml():
    found = compiled(
        "[project]\nparams = ['a.toml', 'b.json', 'c.yaml', 'd.yml']\n[params]\nown = 1\n",
        a__toml="t = 2024-01-01\n",
        b__json='{"j": [1, 1.0, null, true, NaN]}',
        c__yaml="y: {z: 1e-3}\n",
        d__yml="",
    )
    assert found.params["own"] == 1
    assert found.params["t"] == datetime.date(2024, 1, 1)
    assert found.params["j"][:4] == [1, 1.0, None, True]
    assert found.params["y"] == {"z": 0.001}
    assert found.files == ("gitml.toml", "a.toml", "b.json", "c.yaml", "d.yml")


def test_yaml_is_1_2():
    text = "a: 1e-3\nb: no\nc: on\nd: 0o17\ne: 12:30\nf: ~\ng: .inf\nh: 017\ni: yes\nj: 2024-01-01\nk: 'x'\n"
    assert params(".yaml", text) == {
        "a": 0.001,
        "b": "no",
        "c": "on",
        "d": 15,
        "e": "12:30",
        "f": None,
        "g": math.inf,
        "h": 17,
        "i": "yes",
        "j": datetime.date(2024, 1, 1),
        "k": "x",
    }


def test_yaml_times_are_plain_datetimes():
    (value,) = params(".yaml", "a: 2024-01-01T00:00:00.5+02:00\n").values()
    assert type(value) is datetime.datetime
    assert value.utcoffset() == datetime.timedelta(hours=2)


def test_yaml_aliases_and_merges():
    text = "base: &b {x: 1, y: 2}\nmore: {<<: *b, y: 3}\nlist: [*b, *b]\nboth: {<<: [{x: 5}, *b]}\n"
    found = params(".yaml", text)
    assert found["more"] == {"x": 1, "y": 3}
    assert found["list"] == [{"x": 1, "y": 2}] * 2
    assert found["both"] == {"x": 5, "y": 2}


def laughs(levels, open_, close, prefix=""):
    rows = ["a0: &a0 [x, x]" if open_ == "[" else "a0: &a0 {x: 1}"]
    for n in range(1, levels):
        inner = ", ".join([f"*a{n - 1}"] * 9)
        rows.append(f"a{n}: &a{n} {open_}{prefix}{inner}{close}")
    return "\n".join(rows) + "\n"


def test_billion_laughs_are_refused():
    assert "aliases unfold" in refused(".yaml", laughs(12, "[", "]")).message


def test_billion_laughs_by_merging_are_refused():
    assert "aliases unfold" in refused(".yaml", laughs(12, "{<<: [", "]}")).message


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, 1, "the name 'a' stands twice in one table"),
        ("a:\n  1: x\n", 2, 3, "a name must be text"),
        ("? [x]\n: 1\n", 1, 3, "a name must be text"),
        ("a: !!binary aGk=\n", 1, 4, "the tag tag:yaml.org,2002:binary is not plain data"),
        ("a: !!set {x}\n", 1, 4, "the tag tag:yaml.org,2002:set is not plain data"),
        ("a: !foo 1\n", 1, 4, "this is not YAML: could not determine a constructor for the tag '!foo'"),
        ("a: !!python/name:os.system x\n", 1, 4, None),
        ("a: [1\n", 2, 1, None),
        ("a: *x\n", 1, 4, "this is not YAML: found undefined alias 'x'"),
        ("a: 1\n--- \nb: 2\n", 2, 1, None),
        ("a: \x01\n", 1, 1, None),
        ("- 1\n", 1, 1, "a parameter file must hold a table of names, not a list"),
        ("%YAML 1.1\n---\na: no\n", 1, 1, "only YAML 1.2 is read, in which 'no' is a string and 1e-3 a number"),
        ("a: !!float x\n", 1, 1, None),
        ("a: {<<: 3}\n", 1, 9, "'<<' wants a table or a list of tables"),
        ('a: "\\ud800"\n', 1, 4, "half of a surrogate pair is not text"),
        ("a: &x [*x]\n", 1, 4, None),
        ("a: " + "[" * 70 + "]" * 70 + "\n", 1, None, "values are nested deeper than 64 levels"),
        ("a: " + "[" * 9000 + "\n", 1, 1, "values are nested deeper than 64 levels"),
        ("a: " + "9" * 6000 + "\n", 1, 1, None),
    ],
)
def test_yaml_that_is_refused(text, line, column, message):
    one = refused(".yaml", text)
    assert one.file == "p.yaml"
    assert one.line == line
    assert column is None or one.column == column
    assert message is None or one.message == message


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ('{"a": 1,\n "b": {"a": 2, "c": 3, "c": 4}}', 2, 24, "the name 'c' stands twice in one table"),
        ('{"a": 1,}', 1, None, None),
        ("[1]", 1, 1, "a parameter file must hold a table of names, not a list"),
        ("", 1, 1, "this is not JSON: Expecting value"),
        ('{"a": "\\ud800"}', 1, 8, "half of a surrogate pair is not text"),
        ('{"a": ' + "[" * 70 + "]" * 70 + "}", 1, 1, None),
        ('{"a": ' + "[" * 200_000 + "}", 1, 1, "values are nested deeper than 64 levels"),
        ('{"a": ' + "9" * 6000 + "}", 1, 1, None),
    ],
)
def test_json_that_is_refused(text, line, column, message):
    one = refused(".json", text)
    assert (one.file, one.line) == ("p.json", line)
    assert column is None or one.column == column
    assert message is None or one.message == message


def test_a_whole_pair_of_surrogates_is_text():
    assert params(".json", '{"a": "\\ud83d\\ude00"}') == {"a": "😀"}


def test_toml_mistakes_stand_in_their_file():
    one = refused(".toml", "a = 1\nb = \n")
    assert (one.file, one.line) == ("p.toml", 2)


def test_tables_merge_and_values_clash():
    text = "[project]\nparams = ['a.toml', 'b.json']\n[params]\nt = { x = 1 }\n"
    assert compiled(text, a__toml="t.y.p = 2\n", b__json='{"t": {"y": {"q": 3}}}').params == {
        "t": {"x": 1, "y": {"p": 2, "q": 3}}
    }
    one, two = problems(text, a__toml="t.x = 2\n", b__json='{"t": 3}')
    assert (one.line, one.column) == (2, 11)
    assert one.message == "parameter 't.x' is defined in [params] of gitml.toml and in a.toml"
    assert (two.line, two.column) == (2, 21)
    assert two.message == "parameter 't' is defined in [params] of gitml.toml and in b.json"


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("nope.toml", "there is no file nope.toml"),
        ("p.txt", "p.txt is not a parameter file"),
        ("../p.toml", "a path may not contain '..'"),
        ("*.toml", "this path may not be a glob"),
    ],
)
def test_parameter_files_that_are_refused(file, message):
    one = problem(f"[project]\nparams = ['{file}']\n")
    assert (one.line, one.column, one.message) == (2, 11, message)


def test_a_file_is_listed_once():
    one = problem("[project]\nparams = ['a.toml', './a.toml']\n", a__toml="")
    assert (one.column, one.message) == (21, "a.toml is listed twice")


def test_deep_parameters_are_refused_in_toml():
    one = problem("[params]\nok = 1\na = " + "[" * 70 + "]" * 70 + "\n")
    assert (one.line, one.column, one.message) == (3, 1, "values are nested deeper than 64 levels")


DOCUMENTS = {
    ".yaml": b"a: &x [1, 2e3, {b: no}]\nc: *x\nd: {<<: {e: 1}, f: !!str 3}\ng: |\n  text\n",
    ".json": b'{"a": [1, 2e3, {"b": null}], "c": "\\ud83d\\ude00", "d": {"e": NaN}}',
    ".toml": b"a = [1, 2e3, { b = 1979-05-27 }]\n[t.u]\nc = '''x'''\n",
}


@pytest.mark.parametrize("suffix", DOCUMENTS)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_no_parameter_file_ends_in_a_traceback(suffix, data):
    document = DOCUMENTS[suffix]
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(document)))
        cut = data.draw(st.integers(0, 5))
        new = data.draw(
            st.one_of(st.binary(max_size=3), st.sampled_from([b"&", b"*", b"!!", b"[", b"{", b":", b"\\u", b"<<"]))
        )
        document = document[:at] + new + document[at + cut :]
    try:
        load_files({"gitml.toml": f"[project]\nparams = ['p{suffix}']\n", f"p{suffix}": document})
    except UsageError as error:
        assert str(error)
