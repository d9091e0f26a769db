from __future__ import annotations

import shlex
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitml.manifest.interpolate import in_shell
from gitml.manifest.table import Refused
from tests.unit.manifest_project import compiled, step, told

PARAMS = """\
[params]
lr = 0.1
name = "it's"
on = true
many = ["a b", 2]
when = 2024-01-01
empty = ""
t = { x = { y-z = 5, 1 = "one" } }
[step.s]
"""


def run_of(text, more=""):
    return step(f"{PARAMS}run = '''{text}'''\n{more}").commands[0].text


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("x ${{ params.lr }}", "x 0.1"),
        ("x ${{params.lr}}", "x 0.1"),
        ("x --lr=${{ params.lr }}", "x --lr=0.1"),
        ("x ${{ params.name }}", """x 'it'"'"'s'"""),
        ("x a${{ params.name }}b", """x a'it'"'"'s'b"""),
        ("x ${{ params.on }}", "x true"),
        ("x ${{ params.many }} y", "x 'a b' 2 y"),
        ("x ${{ params.many.0 }}", "x 'a b'"),
        ("x ${{ params.when }}", "x 2024-01-01"),
        ("x ${{ params.empty }}", "x ''"),
        ("x ${{ params.t.x.y-z }} ${{ params.t.x.1 }}", "x 5 one"),
        ('x ${{ params."t"."x".y-z }}', "x 5"),
        ("x $${{ params.lr }}", "x ${{ params.lr }}"),
        ("x '$${{' ${{ params.lr }}", "x '${{' 0.1"),
        ("x ${{ step.name }} ${{ step.id }}", "x s s"),
        ("x 'quoted' \"too\" ${{ params.lr }}", "x 'quoted' \"too\" 0.1"),
        ("x \\' ${{ params.lr }} \\'", "x \\' 0.1 \\'"),
        ("x $(y ${{ params.lr }})", "x $(y 0.1)"),
        ('x "$(y ${{ params.lr }})"', 'x "$(y 0.1)"'),
        ("x a#b ${{ params.lr }}", "x a#b 0.1"),
        ("x # don't\ny ${{ params.lr }}", "x # don't\ny 0.1"),
        ("x <<< ${{ params.lr }}", "x <<< 0.1"),
        ("x > ${{ params.name }}", """x > 'it'"'"'s'"""),
        ("x $((1 + 2)) ${{ params.lr }}", "x $((1 + 2)) 0.1"),
        ("x ${HOME} ${#y} ${{ params.lr }}", "x ${HOME} ${#y} 0.1"),
        ("x `y` ${{ params.lr }}", "x `y` 0.1"),
        ("case a in a) x;; esac; y ${{ params.lr }}", "case a in a) x;; esac; y 0.1"),
    ],
)
def test_a_value_lands_as_one_word(text, filled):
    assert run_of(text) == filled


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("x '${{ params.lr }}'", "single quotes"),
        ('x "a ${{ params.lr }}"', "double quotes"),
        ("x $'${{ params.lr }}'", "single quotes"),
        ("x `y ${{ params.lr }}`", "backquotes"),
        ('x `y "$(z ${{ params.lr }})"`', "backquotes"),
        ("x $((1 + ${{ params.lr }}))", "arithmetic"),
        ("x ${y:-${{ params.lr }}}", "${ }"),
        ("x # ${{ params.lr }}", "a comment"),
        ("x <<E\n${{ params.lr }}\nE", "a here-document"),
        ("x \\${{ params.lr }}", "a backslash escape"),
        ('x "\\"${{ params.lr }}"', "double quotes"),
        ('x "$(y "${{ params.lr }}")"', "double quotes"),
    ],
)
def test_a_value_is_refused_where_quoting_would_not_hold(text, inside):
    _, _, message, hint = told(f"{PARAMS}run = '''{text}'''\n")
    assert message == f"${{{{ params.lr }}}} stands inside {inside}"
    assert hint


def test_the_expression_is_pointed_at():
    assert told("[step.s]\nrun = 'x ${{ nope.x }}'\n") == (
        2,
        10,
        "unknown name 'nope'",
        "known here: params, step, inputs, outputs",
    )
    assert told("[step.s]\nrun = ['a', '''\nx\n  ${{ params.x }}''']\n")[:2] == (4, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x ${{ params.lr", "'${{' is never closed"),
        ("x ${{ params.lr + 1 }}", "cannot read the expression ${{ params.lr + 1 }}"),
        ("x ${{ }}", "cannot read the expression ${{ }}"),
        ("x ${{ params.t }}", "${{ params.t }} is a table, which has no text"),
        ("x a${{ params.many }}", "a list cannot be a part of a word: ${{ params.many }}"),
        ("x ${{ params.many }}b", "a list cannot be a part of a word: ${{ params.many }}"),
        ("x ${{ params.lr }}${{ params.many }}", "a list cannot be a part of a word: ${{ params.many }}"),
        ("x ${{ params.many }}${{ params.lr }}", "a list cannot be a part of a word: ${{ params.many }}"),
        ("x ${{ params.many.7 }}", "unknown name 'params.many.7'"),
        ("x ${{ params.lr.y }}", "unknown name 'params.lr.y'"),
        ("x ${{ matrix.fold }}", "unknown name 'matrix'"),
    ],
)
def test_expressions_that_are_refused(text, message):
    assert told(f"{PARAMS}run = '''{text}'''\n")[2] == message


def test_null_has_no_text():
    found = told("[project]\nparams = ['p.json']\n[step.s]\nrun = 'x ${{ params.n }}'\n", p__json='{"n": null}')
    assert found[2] == "${{ params.n }} is null, which has no text"


def test_a_nul_cannot_be_a_word():
    found = told("[project]\nparams = ['p.json']\n[step.s]\nargv = ['${{ params.n }}']\n", p__json='{"n": "\\u0000"}')
    assert "NUL" in found[2]


def test_argv_takes_values_as_they_are_and_lists_as_words():
    text = PARAMS + "argv = ['x', '${{ params.many }}', '--n=${{ params.name }}', '${{ params.empty }}', '$${{ y }}']\n"
    assert step(text).commands[0].argv == ("x", "a b", "2", "--n=it's", "", "${{ y }}")
    assert told(PARAMS + "argv = ['x', 'a${{ params.many }}']\n")[2] == "a list cannot stand here: ${{ params.many }}"


def test_paths_take_scalars_as_text():
    found = step(
        PARAMS
        + "run = 'x'\ninputs = ['in/${{ params.lr }}.csv']\noutputs = ['out/${{ step.name }}']\n"
        + "code = ['c${{ params.t.x.1 }}/*.py']\ncwd = 'w${{ params.on }}'\n"
    )
    assert found.inputs == ("in/0.1.csv",)
    assert found.outputs[0].path == "out/s"
    assert found.code[0].path == "cone/*.py"
    assert found.cwd == "wtrue"


def test_a_path_is_checked_after_it_is_filled():
    found = told("[params]\np = '../x'\n[step.s]\nrun = 'x'\ninputs = ['a/${{ params.p }}']\n")
    assert found[2] == "a path may not contain '..' ('a/../x')"
    assert told("[params]\np = ['x']\n[step.s]\nrun = 'x'\ninputs = ['${{ params.p }}']\n")[2].startswith("a list")


def test_commands_see_paths_as_their_folder_sees_them():
    text = "[step.s]\nrun = 'x ${{ inputs }} -o ${{ outputs.0 }}'\ninputs = ['a b', 'w/c']\noutputs = ['o']\n"
    assert step(text).commands[0].text == "x 'a b' w/c -o o"
    assert step(text + "cwd = 'w'\n").commands[0].text == "x '../a b' c -o ../o"


def test_instances_have_their_own_values():
    steps = compiled(
        "[step.s]\nrun = 'x ${{ matrix.c.k }} ${{ step.id }}'\nmatrix.c = [{ k = 1 }, { k = 2 }]\n"
        "outputs = ['${{ matrix.c.k }}']\n"
    ).steps
    assert [s.commands[0].text for s in steps.values()] == ["x 1 's@c={k=1}'", "x 2 's@c={k=2}'"]
    assert [s.outputs[0].path for s in steps.values()] == ["1", "2"]


def test_a_mistake_of_all_instances_is_told_once():
    assert told("[step.s]\nrun = 'x ${{ matrix.y }}'\nmatrix.x = [1, 2, 3]\n") == (
        2,
        10,
        "unknown name 'matrix.y'",
        "matrix has: x",
    )


PIECES = st.sampled_from(
    ["a", " ", "'", '"', "\\", "$", "(", ")", "`", "#", "\n", "<<", "{", "}", "$(", "$((", "${", "${{ v }}", "${{ v }}"]
)


@given(st.lists(PIECES, max_size=12))
def test_any_command_is_filled_or_refused(pieces):
    try:
        in_shell("".join(pieces), {"v": "x"})
    except Refused as refused:
        assert refused.faults


WORDS = st.sampled_from(["echo 'a b'", '"c d"', "\\'", "$(printf '%s' z)", "x#y", "'it'\\''s'", '"a\\"b"', "$((1+2))"])
VALUES = st.text(st.sampled_from("a'\"\\$`;#&| \n(){}*~"), max_size=8)


@settings(max_examples=40, deadline=None)
@given(st.lists(WORDS, max_size=4), VALUES, st.lists(WORDS, max_size=3))
def test_the_shell_reads_a_value_as_one_unchanged_word(before, value, after):
    command = " ".join(["printf '%s\\0'", *before, "${{ v }}", *after])
    shown = subprocess.run(["sh", "-c", in_shell(command, {"v": value})], capture_output=True, check=True).stdout
    assert value.encode() in shown.split(b"\0")
    assert shlex.split(shlex.quote(value)) == [value]
