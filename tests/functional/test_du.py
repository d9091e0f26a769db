from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from gitml.store.objects import ObjectStore
from tests.functional.command import Project, new_project

PIPELINE = """
[step.one]
run = "cat x > a; cat x > shared1"
inputs = ["x"]
outputs = ["a", "shared1"]
[step.two]
run = "echo two > b; cat x > shared2"
inputs = ["x"]
outputs = ["b", "shared2"]
[step.Big]
matrix = { n = [1, 2] }
run = "echo big ${{ matrix.n }} > c${{ matrix.n }}"
outputs = ["c${{ matrix.n }}"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = new_project(tmp_path, PIPELINE, x="0123456789")
    made.gitml("repro")
    return made


def du(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(project.gitml("du", "--json").stdout)
    assert found["schema"] == "gitml-du/1"
    return found


def rows(found: dict[str, Any]) -> dict[str, tuple[int, int, int, int]]:
    return {row["name"]: (row["runs"], row["objects"], row["size"], row["unique"]) for row in found["owners"]}


def test_steps_and_sources_are_measured_shared_bytes_apart(project: Project) -> None:
    project.write("data/f", "0123456789")
    project.write("data/g", "12345")
    project.gitml("add", "data")
    tree = 13 + 2 * (41 + 2)
    assert rows(du(project)) == {
        "Big@n=1": (1, 1, 6, 6),
        "Big@n=2": (1, 1, 6, 6),
        "data": (0, 3, tree + 15, tree + 5),
        "one": (1, 1, 10, 0),
        "two": (1, 2, 14, 4),
    }


def test_a_step_whose_run_is_not_recorded_is_known_by_its_lock(project: Project) -> None:
    for path in (project.cache / "runs").rglob("*.json"):
        path.unlink()
    assert {name: row[0] for name, row in rows(du(project)).items()} == dict.fromkeys(
        ("one", "two", "Big@n=1", "Big@n=2"), 0
    )


def test_objects_that_nothing_names_are_unnamed_and_can_be_freed(project: Project) -> None:
    store = ObjectStore(str(project.cache))
    store.add_bytes(b"x" * 1000)
    with store.packing(loose_below=2) as packer:
        for number in range(5):
            packer.add_bytes(b"%d" % number * 100)
    found = du(project)
    assert found["unnamed"] == {"number": 6, "size": 1500}
    assert found["freeable"] == {"runs": 0, "objects": 6, "size": 1500}
    assert (found["loose"]["number"], found["packed"]["number"], found["packs"]["number"]) == (5, 5, 1)
    assert found["packs"]["size"] > 500


def test_ages_are_those_of_the_files(project: Project) -> None:
    objects = sorted((project.cache / "objects").glob("*/*"))
    for path, days in zip(objects, (3, 20, 400), strict=False):
        os.utime(path, (time.time() - days * 86400,) * 2)
    found = du(project)["ages"]
    assert {name: amount["number"] for name, amount in found.items()} == {"day": 1, "week": 1, "month": 1, "older": 1}


def test_quarantine_temporary_and_rescued_files_are_counted(project: Project) -> None:
    for path in (project.cache / "quarantine/a", project.cache / "tmp/b", project.machine / "rescued/r/c/d"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1234")
    found = du(project)
    for name in ("quarantine", "temporary", "rescued"):
        assert found[name] == {"number": 1, "size": 4}
    assert "only copy" in project.gitml("du").stdout.splitlines()[-1]


def test_it_shows_a_table(project: Project) -> None:
    ObjectStore(str(project.cache)).add_bytes(b"x" * 1000)
    lines = project.gitml("du").stdout.splitlines()
    assert lines[0].split() == ["runs", "objects", "size", "unique"]
    assert lines[1].split() == ["two", "1", "2", "14", "B", "4", "B"]
    assert [line.split()[0] for line in lines[2:7]] == ["one", "Big@n=1", "Big@n=2", "(unnamed)", "all"]
    assert "last day" in lines[8]
    assert lines[-1].split() == ["gc", "would", "free", "1", "1.0", "kB"]


def test_an_empty_cache_is_empty(tmp_path: Path) -> None:
    project = new_project(tmp_path, PIPELINE, x="0")
    assert du(project)["owners"] == []
    assert "gc would free" in project.gitml("du").stdout
