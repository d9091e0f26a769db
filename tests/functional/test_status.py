"""What `status` says, and that saying it changes nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.functional.command import Project, listing, new_project

CHAIN = """
[params]
n = 1
[step.one]
run = "echo one >> $RAN; cat x > one"
inputs = ["x"]
outputs = ["one"]
[step.two]
run = "echo two >> $RAN; echo ${{ params.n }} | cat one - > two"
inputs = ["one"]
outputs = ["two"]
"""


@pytest.fixture
def chain(tmp_path: Path) -> Project:
    return new_project(tmp_path, CHAIN, x="1")


def test_before_the_first_run(chain: Project) -> None:
    assert chain.states() == {"one": "stale", "two": "stale"}
    assert "never run" in chain.gitml("status").stdout


def test_after_a_run(chain: Project) -> None:
    chain.repro()
    assert chain.states() == {"one": "fresh", "two": "fresh"}


def test_what_waits_for_a_stale_step_is_unknown(chain: Project) -> None:
    chain.repro()
    chain.write("x", "2")
    assert chain.states() == {"one": "stale", "two": "unknown"}
    assert "waits for one" in chain.gitml("status").stdout


def test_a_step_stale_by_itself_is_stale_whatever_is_above(chain: Project) -> None:
    chain.repro()
    chain.write("x", "2")
    chain.write("gitml.toml", CHAIN.replace("n = 1", "n = 2"))
    assert chain.states() == {"one": "stale", "two": "stale"}


def test_what_the_cache_has_is_told(chain: Project) -> None:
    chain.repro()
    chain.write("x", "2")
    chain.repro()
    chain.write("x", "1")
    assert chain.states() == {"one": "cached", "two": "cached"}


def test_a_missing_output_can_be_restored(chain: Project) -> None:
    chain.repro()
    (chain.path / "one").unlink()
    assert chain.states() == {"one": "cached", "two": "fresh"}


def test_named_steps_and_what_they_need(chain: Project) -> None:
    assert list(chain.states("one")) == ["one"]
    assert list(chain.states("two")) == ["one", "two"]


def test_check_ends_with_three_unless_all_is_fresh(chain: Project) -> None:
    chain.gitml("status", "--check", code=3)
    chain.repro()
    chain.gitml("status", "--check", code=0)
    (chain.path / "one").unlink()
    chain.gitml("status", "--check", code=3)


def test_json_carries_its_schema_and_reasons(chain: Project) -> None:
    chain.repro()
    chain.write("gitml.toml", CHAIN.replace("n = 1", "n = 2"))
    found = json.loads(chain.gitml("status", "--json").stdout)
    assert found["schema"] == "gitml-status/1"
    (one, two) = found["steps"]
    assert (one["state"], two["state"]) == ("fresh", "stale")
    assert [reason["kind"] for reason in two["reasons"]] == ["part_changed"]


@pytest.mark.parametrize("args", [["status"], ["repro", "-n"]])
def test_it_writes_nothing_but_derived_caches(chain: Project, args: list[str]) -> None:
    chain.repro()
    chain.calls()
    chain.write("x", "2")
    before = listing(chain.path)
    chain.gitml(*args)
    after = listing(chain.path)
    differing = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert {path for path in differing if not path.startswith((".git/gitml/state.db", ".git/gitml/tmp"))} == set()
    assert chain.calls() == []


def test_it_works_where_nothing_may_be_written(chain: Project) -> None:
    chain.repro()
    machine = chain.machine
    for path in machine.glob("state.db*"):
        path.unlink()
    (machine / "state.db").mkdir()  # no database can be made here, whoever asks
    (machine / "tmp").rename(machine / "was-tmp")
    (machine / "tmp").write_text("no folder either")
    assert chain.states() == {"one": "fresh", "two": "fresh"}


@pytest.mark.parametrize("damage", [b"", b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 8192])
def test_a_damaged_database_is_no_trouble(chain: Project, damage: bytes) -> None:
    chain.repro()
    for path in chain.machine.glob("state.db*"):
        path.unlink()
    (chain.machine / "state.db").write_bytes(damage)
    assert chain.states() == {"one": "fresh", "two": "fresh"}
    assert chain.repro().ran == []


def test_an_edit_within_the_clocks_tick_is_seen(chain: Project) -> None:
    """Same size, same inode, written right after the run: only the racily-clean rule can tell."""
    chain.repro()
    for text in "2323232":
        chain.write("x", text)
        assert chain.states()["one"] != "fresh"
        chain.repro()
        assert chain.states() == {"one": "fresh", "two": "fresh"}
        assert chain.read("one") == text


def test_an_edit_that_keeps_size_and_mtime_is_seen(chain: Project) -> None:
    chain.repro()
    chain.states()
    before = os.stat(chain.path / "x")
    chain.write("x", "9")
    os.utime(chain.path / "x", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert chain.states()["one"] == "stale"


def test_a_project_in_a_subfolder_has_its_own_state(tmp_path: Path) -> None:
    project = new_project(tmp_path, CHAIN, x="1", **{"sub/gitml.toml": CHAIN, "sub/x": "7"})
    project.repro()
    project.gitml("repro", cwd="sub")
    assert project.read("sub/one") == "7"
    assert project.calls() == ["one", "two", "one", "two"]
    assert (project.path / "sub" / ".gitml" / "lock" / "one.json").exists()
    assert project.repo.git("status", "--porcelain") == "?? .gitml/\n?? sub/.gitml/"


def test_a_lock_on_gits_index_is_nobodys_concern(chain: Project) -> None:
    (chain.path / ".git" / "index.lock").write_text("")
    assert chain.states() == {"one": "stale", "two": "stale"}
    assert chain.repro().ran == ["one", "two"]
    assert chain.states() == {"one": "fresh", "two": "fresh"}
