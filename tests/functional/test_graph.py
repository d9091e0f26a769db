"""`gitml graph` as text, Mermaid, DOT and JSON."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.functional.command import Project, new_project
from tests.functional.pipelines import change, training

DIAMOND = """
[step.raw]
run = "echo r > raw.txt"
outputs = ["raw.txt"]

[step.left]
run = "cp raw.txt left.txt"
inputs = ["raw.txt"]
outputs = ["left.txt"]

[step.right]
run = "cp raw.txt right.txt"
inputs = ["raw.txt"]
outputs = ["right.txt"]

[step.join]
run = "cat left.txt right.txt > join.txt"
inputs = ["left.txt", "right.txt"]
after = ["clean"]
outputs = ["join.txt"]

[step.clean]
run = "true"
always = true
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return training(tmp_path)


def test_the_tree_has_results_first_and_families_with_a_count(project: Project) -> None:
    assert project.gitml("graph").stdout == "report\n└── train (2)\n    └── prepare\n"


def test_instances_are_drawn_when_asked_for(project: Project) -> None:
    assert project.gitml("graph", "--instances").stdout.splitlines() == [
        "report",
        "├── train@fold=0",
        "│   └── prepare",
        "└── train@fold=1",
        "    └── prepare",
    ]


def test_a_shared_node_is_drawn_once_and_order_is_marked(tmp_path: Path) -> None:
    project = new_project(tmp_path, DIAMOND)
    change(project, "gitml.toml", '"echo r > raw.txt"', '"cat x > raw.txt"\ninputs = ["x"]')
    change(project, "gitml.toml", "[step.raw]", '[step.x]\nrun = "echo x > x"\noutputs = ["x"]\n\n[step.raw]')
    assert project.gitml("graph").stdout.splitlines() == [
        "join",
        "├── left",
        "│   └── raw",
        "│       └── x",
        "├── right",
        "│   └── raw  (*)",
        "└── clean  (after only)",
    ]


def test_a_name_narrows_it_to_what_that_step_needs(project: Project) -> None:
    assert project.gitml("graph", "train").stdout == "train (2)\n└── prepare\n"


def test_a_terminal_without_unicode_gets_ascii(project: Project) -> None:
    text = project.gitml("graph", "--status", environ={"PYTHONIOENCODING": "ascii"}).stdout
    assert text.splitlines()[1].startswith("`-- ")
    assert text.isascii()


def test_status_marks_each_node(project: Project) -> None:
    project.repro()
    change(project, "gitml.toml", "lr = 0.5", "lr = 0.1")
    assert project.gitml("graph", "--status").stdout.splitlines() == [
        "? report  unknown",
        "└── ● train (2)  2 stale",
        "    └── ✓ prepare  fresh",
    ]
    found = json.loads(project.gitml("graph", "--status", "--json").stdout)
    assert {node["name"]: node["states"] for node in found["nodes"]}["train"] == {"stale": 2}


def test_mermaid_is_a_flowchart_with_an_edge_per_need(project: Project) -> None:
    lines = project.gitml("graph", "--mermaid").stdout.splitlines()
    assert lines == [
        "flowchart LR",
        '    s0["prepare"]',
        '    s1["train (2)"]',
        '    s2["report"]',
        "    s0 --> s1",
        "    s1 --> s2",
    ]
    assert "classDef unknown" not in "\n".join(lines)
    assert "classDef stale" in project.gitml("graph", "--mermaid", "--status").stdout


def test_order_alone_is_dotted_in_mermaid_and_dashed_in_dot(tmp_path: Path) -> None:
    project = new_project(tmp_path, DIAMOND)
    assert sum("-.->" in line for line in project.gitml("graph", "--mermaid").stdout.splitlines()) == 1
    assert '"clean" -> "join" [style=dashed];' in project.gitml("graph", "--dot").stdout


def test_dot_is_a_digraph(project: Project) -> None:
    text = project.gitml("graph", "--dot", "--status").stdout
    assert '"prepare" -> "train";' in text
    assert "fillcolor" in text
    program = shutil.which("dot")
    if program is not None:
        subprocess.run([program, "-Tcanon"], input=text.encode(), check=True, capture_output=True)


def test_labels_are_escaped(tmp_path: Path) -> None:
    project = new_project(tmp_path, '[step.a]\nrun = "true"\nmatrix = { x = ["<b>\\"q", "r"] }\n')
    mermaid = project.gitml("graph", "--instances", "--mermaid").stdout
    assert "<b>" not in mermaid
    assert '""' not in mermaid
    assert '\\"q' in project.gitml("graph", "--instances", "--dot").stdout


MUTUAL = """
[step.a]
run = "cp ${{ inputs }} ${{ outputs }}"
matrix = { e = ["1/x", "2"] }
inputs = ["in/${{ matrix.e }}"]
outputs = ["mid/${{ matrix.e }}"]

[step.b]
run = "cp ${{ inputs }} ${{ outputs }}"
matrix = { e = ["1"] }
inputs = ["mid/${{ matrix.e }}/x"]
outputs = ["in/2"]
"""


def test_families_that_need_one_another_are_drawn_to_the_end(tmp_path: Path) -> None:
    project = new_project(tmp_path, MUTUAL)
    assert project.gitml("graph").stdout.splitlines() == ["b (1)", "└── a (2)", "    └── b (1)  (*)"]
    assert project.gitml("graph", "--instances").stdout.splitlines()[0] == 'a@e="2"'


def test_a_long_chain_is_drawn(tmp_path: Path) -> None:
    steps = [f'[step.s{n}]\nrun = "true"\ninputs = ["f{n}"]\noutputs = ["f{n + 1}"]\n' for n in range(1500)]
    project = new_project(tmp_path, "".join(steps))
    assert len(project.gitml("graph").stdout.splitlines()) == 1500


def test_two_forms_at_once_are_refused(project: Project) -> None:
    assert "exclude each other" in project.gitml("graph", "--dot", "--json", code=2).stderr


def test_without_steps_it_says_so(tmp_path: Path) -> None:
    assert new_project(tmp_path, "").gitml("graph").stdout == "no steps are declared\n"
