from __future__ import annotations

import itertools
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml.manifest.problems import ManifestError
from tests.unit.manifest_project import compiled, problems, told


def steps(*rows, tail=""):
    """Declare steps as (name, inputs, outputs[, more])."""
    text = ""
    for name, inputs, outputs, *more in rows:
        text += f"[step.{name}]\nrun = 'x'\ninputs = {inputs}\noutputs = {outputs}\n{''.join(more)}\n"
    return text + tail


def edges(*rows):
    return {name: before for name, before in compiled(steps(*rows)).upstream.items() if before}


@pytest.mark.parametrize(
    ("made", "read", "is_edge"),
    [
        ("a.csv", "a.csv", True),
        ("a.csv", "b.csv", False),
        ("d", "d/x/y.csv", True),
        ("d", "dx/y.csv", False),
        ("d/x/y.csv", "d", True),
        ("d/x/y.csv", "d/x", True),
        ("d/x/y.csv", "d/y", False),
        ("m/1.json", "m/*.json", True),
        ("m/1.csv", "m/*.json", False),
        ("m/.h.json", "m/*.json", False),
        ("m/x/1.json", "m/*.json", False),
        ("m/x/1.json", "m/**/*.json", True),
        ("m/x/1.json", "**/*.json", True),
        ("m", "m/*.json", True),
        ("m", "m/**", True),
        ("m/x", "m/*/w.pt", True),
        ("m/x", "n/*/w.pt", False),
        ("m/x", "m/*.json", False),
        ("m/x/y", "m/*/w.pt", False),
        ("m/v1.0", "m/*/w.pt", True),
        ("models", "**/*.pt", True),
        ("models/v1.0", "**/*.pt", True),
        ("report.md", "**/*.json", False),
        ("prefix-a/x", "prefix-*/x", True),
        ("prefix", "prefix-*/x", False),
    ],
)
def test_an_edge_joins_what_is_made_and_what_is_read(made, read, is_edge):
    found = edges(("maker", [], [made]), ("reader", [read], ["somewhere.else"]))
    assert found == ({"reader": ("maker",)} if is_edge else {})


def test_a_matrix_is_joined_instance_by_instance():
    found = compiled(
        steps(
            ("a", [], ["a/${{ matrix.i }}.x"], "matrix = { i = [1, 2] }\n"),
            ("b", ["a/${{ matrix.i }}.x"], ["b/${{ matrix.i }}.x"], "matrix = { i = [1, 2] }\n"),
            ("c", ["b/*.x"], ["c"]),
        )
    )
    assert found.upstream == {
        "a@i=1": (),
        "a@i=2": (),
        "b@i=1": ("a@i=1",),
        "b@i=2": ("a@i=2",),
        "c": ("b@i=1", "b@i=2"),
    }


def test_after_orders_families_and_instances_and_is_no_edge():
    found = compiled(
        steps(
            ("a", [], ["a/${{ matrix.i }}"], "matrix = { i = [1, 2] }\n"),
            ("b", [], ["b"], "after = ['a']\n"),
            ("c", ["b"], ["c"], "after = ['a@i=2', 'b']\n"),
        )
    )
    assert found.upstream["b"] == ()
    assert found.order == {"b": ("a@i=1", "a@i=2"), "c": ("a@i=2",)}
    assert found.steps["b"].after == ("a@i=1", "a@i=2")
    assert found.steps["c"].after == ("a@i=2", "b")


def test_after_names_steps_that_are_there():
    assert told(steps(("prepare", [], ["a"]), ("b", [], ["b"], "after = ['prepar']\n")))[1:] == (
        10,
        "unknown step 'prepar'",
        "did you mean 'prepare'?",
    )
    assert told(steps(("b", [], ["b"], "after = ['b']\n")))[2] == "step 'b' cannot come after itself"


def test_an_output_has_one_owner():
    assert told(steps(("a", [], ["x"]), ("b", [], ["y", "x"]))) == (
        9,
        17,
        "x is already an output of 'a'",
        "a path has one owner: let one step make it and the other read it",
    )
    assert told(steps(("a", [], ["x", "x"])))[:3] == (4, 17, "x is declared twice")
    assert told(steps(("a", [], ["x"], "metrics = ['x']\n")))[:2] == (5, 12)


def test_instances_do_not_share_an_output_and_that_is_told_once():
    found = told(steps(("a", [], ["x"], "matrix = { i = [1, 2, 3] }\n")))
    assert found[:3] == (4, 12, "a@i=2 and a@i=1 both make x")


@pytest.mark.parametrize(("one", "other"), [("Data/x", "data/x"), ("caf\u00e9", "cafe\u0301"), ("STRASSE", "straße")])
def test_outputs_that_one_file_system_folds_together_are_one(one, other):
    assert (
        told(steps(("a", [], [one]), ("b", [], [other])))[2]
        == f"{other} is already an output of 'a' (there spelled {one})"
    )


def test_an_output_does_not_lie_in_another():
    found = told(steps(("a", [], ["d/e/f"]), ("b", [], ["D"])))
    assert found[:3] == (4, 12, "d/e/f lies inside D, an output of 'b'")


@pytest.mark.parametrize(
    ("read", "made", "meets"),
    [
        ("x", "x", "x"),
        ("d", "d/x", "d/x, which lies inside its input d"),
        ("d/x", "d", "d/x, which lies inside its output d"),
        (".", "x", "x, which lies inside its input ."),
        ("*.csv", "x.csv", "x.csv, which *.csv matches"),
        ("d/*.csv", "d", "d, which d/*.csv matches"),
    ],
)
def test_a_step_does_not_read_what_it_writes(read, made, meets):
    assert told(steps(("a", [read], [made])))[:3] == (3, 11, f"step 'a' reads and writes {meets}")


def test_a_glob_that_could_only_by_a_guess_reach_an_own_output_is_let_be():
    assert edges(("a", ["**/*.csv"], ["model"])) == {}


def test_a_cycle_is_told_whole_with_its_paths():
    line, column, message, hint = told(steps(("a", ["z"], ["x"]), ("b", ["x"], ["y"]), ("c", ["y"], ["z"])))
    assert message.startswith("steps wait for each other: ")
    ring = message.split(": ")[1].split(" -> ")
    assert ring[0] == ring[-1]
    assert {"a -> b", "b -> c", "c -> a"} <= {f"{x} -> {y}" for x, y in itertools.pairwise(ring)}
    assert "b reads x of a" in hint
    assert (line, column) in {(3, 11), (8, 11), (13, 11)}


def test_a_cycle_through_after_is_a_cycle():
    found = told(steps(("a", [], ["x"], "after = ['b']\n"), ("b", ["x"], ["y"])))
    assert "a is declared after b" in found[3]


def test_a_long_chain_needs_no_deep_stack():
    count = 3000
    found = compiled(steps(*((f"s{i}", [f"f{i}"], [f"f{i + 1}"]) for i in range(count))))
    assert found.upstream["s7"] == ("s6",)
    assert len(problems(steps(*((f"s{i}", [f"f{i}"], [f"f{(i + 1) % count}"]) for i in range(count))))) == 1


def test_a_faulty_step_makes_no_mistakes_in_others():
    found = problems(
        "[step.a]\nrun = 'x'\nmatrix = 3\noutputs = ['x']\n[step.b]\nrun = 'x'\nafter = ['a']\ninputs = ['x']\n"
    )
    assert [p.line for p in found] == [3]


def test_thousands_of_outputs_and_globs_in_one_folder_take_linear_time():
    numbers = ", ".join(map(str, range(3000)))
    text = steps(
        ("a", [], ["p/${{ matrix.i }}-a.x", "p/${{ matrix.i }}-b.x"], f"matrix = {{ i = [{numbers}] }}\n"),
        ("b", ["p/${{ matrix.i }}-*.x"], ["q/${{ matrix.i }}"], f"matrix = {{ i = [{numbers}] }}\n"),
    )
    start = time.monotonic()
    found = compiled(text)
    assert time.monotonic() - start < 5  # comparing all pairs takes more than ten times that
    assert found.upstream["b@i=17"] == ("a@i=17",)


TREE = st.sampled_from(["a", "b", "a/b", "a/c", "c/a", "c/b/a", "a.x", "c/*", "c/**", "*.x", "**/a", "*/b"])


@given(
    st.lists(st.tuples(st.lists(TREE, max_size=2, unique=True), st.lists(TREE, max_size=2, unique=True)), max_size=5),
    st.randoms(use_true_random=False),
)
def test_the_order_of_tables_changes_no_edge(rows, rng: random.Random):
    named = [(f"s{i}", *row) for i, row in enumerate(rows)]
    shuffled = rng.sample(named, len(named))
    try:
        expected = compiled(steps(*named) or "[step]")
    except ManifestError:
        with pytest.raises(ManifestError):
            compiled(steps(*shuffled))
        return
    found = compiled(steps(*shuffled) or "[step]")
    assert found.upstream == expected.upstream
    assert found.order == expected.order
