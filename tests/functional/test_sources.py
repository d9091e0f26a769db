"""Sources in the life of a project: what `status`, `repro`, `lint` and the fast path make of them."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from tests.functional.command import Project, new_project

STEP = """
[step.use]
run = "cat data/raw/*.csv > out"
inputs = ["data/raw"]
outputs = ["out"]
[step.glob]
run = "cat tables/*.csv > sums"
inputs = ["tables/*.csv"]
outputs = ["sums"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = new_project(tmp_path, STEP)
    made.write("data/raw/a.csv", "1")
    made.write("data/raw/b.csv", "2")
    made.write("tables/x.csv", "3")
    made.gitml("add", "data/raw", "tables/x.csv")
    made.gitml("repro")
    made.repro()
    return made


def sources(project: Project, *names: str) -> dict[str, dict[str, Any]]:
    found = json.loads(project.gitml("status", "--json", *names).stdout)["sources"]
    return {one["path"]: one for one in found}


def pointer(project: Project, path: str) -> str:
    return project.read(f".gitml/sources/{path}.json")


def recorded(project: Project, *args: str) -> list[tuple[str, int, int]]:
    events = project.repro(*args).events
    return [(e["source"], e["added"], e["changed"]) for e in events if e["event"] == "recorded"]


def test_clean_sources_are_not_mentioned(project: Project) -> None:
    shown = project.gitml("status", "--check").stdout
    assert "data/raw" not in shown and "sources" not in shown


def test_status_counts_what_changed(project: Project) -> None:
    project.write("data/raw/a.csv", "changed")
    project.write("data/raw/c.csv", "new")
    project.write("data/raw/d.csv", "new")
    (project.path / "data/raw/b.csv").unlink()
    (project.path / "tables/x.csv").unlink()
    called = project.gitml("status", "--check", code=3)
    lines = called.stdout.splitlines()
    told = "data/raw      changed  2 added, 1 changed, 1 deleted  (gitml add data/raw records it)"
    assert any(line.endswith(told) for line in lines), called.stdout
    assert any(line.endswith("tables/x.csv  missing  (gitml checkout tables/x.csv)") for line in lines)
    assert lines[-1].endswith("sources: 1 changed, 1 missing")
    found = sources(project)
    assert {path: one["state"] for path, one in found.items()} == {"data/raw": "changed", "tables/x.csv": "missing"}
    assert [found["data/raw"][way] for way in ("added", "changed", "deleted")] == [2, 1, 1]
    assert found["data/raw"]["first"]["deleted"] == ["b.csv"]


def test_a_step_named_shows_the_sources_that_it_reads(project: Project) -> None:
    assert set(sources(project, "use")) == {"data/raw"}
    assert set(sources(project, "glob")) == {"tables/x.csv"}


def test_check_counts_a_source_that_no_step_reads(project: Project) -> None:
    project.write("lone", "1")
    project.gitml("add", "lone")
    project.gitml("status", "--check")
    project.gitml("status", "--check")
    project.write("lone", "2")
    assert "lone" in project.gitml("status", "--check", code=3).stdout
    project.gitml("repro")
    assert sources(project)["lone"]["state"] == "changed"


def test_status_why_and_a_dry_run_record_nothing(project: Project) -> None:
    before = pointer(project, "data/raw")
    project.write("data/raw/a.csv", "changed")
    for args in (("status",), ("why", "use"), ("repro", "-n")):
        project.gitml(*args)
        assert pointer(project, "data/raw") == before


def test_repro_records_what_was_added_and_changed_and_says_so(project: Project) -> None:
    project.write("data/raw/a.csv", "changed")
    project.write("data/raw/c.csv", "new")
    project.write("tables/x.csv", "changed")
    shown = project.gitml("repro").stdout
    assert "+ data/raw  recorded  1 added, 1 changed\n" in shown
    assert "+ tables/x.csv  recorded  1 changed\n" in shown
    assert {path: one["state"] for path, one in sources(project).items()} == {
        "data/raw": "clean",
        "tables/x.csv": "clean",
    }
    assert project.read("out") == "changed2new"


def test_repro_tells_it_as_an_event(project: Project) -> None:
    project.write("data/raw/c.csv", "new")
    called = project.repro()
    (event,) = [e for e in called.events if e["event"] == "recorded"]
    entry = json.loads(pointer(project, "data/raw"))["entry"]
    assert event == {
        "schema": "gitml-event/1",
        "event": "recorded",
        "source": "data/raw",
        "added": 1,
        "changed": 0,
        "digest": entry["digest"],
    }
    assert called.ran == ["use"]


def test_repro_records_only_what_the_wanted_steps_read(project: Project) -> None:
    project.write("data/raw/c.csv", "new")
    project.write("tables/x.csv", "changed")
    assert recorded(project, "glob") == [("tables/x.csv", 0, 1)]
    assert sources(project)["data/raw"]["state"] == "changed"


@pytest.mark.parametrize("inputs", ["data", "data/raw/a.csv", "data/*/a.csv", "data/**", "d*"])
def test_an_input_above_or_inside_a_source_counts(inputs: str, tmp_path: Path) -> None:
    manifest = f'[step.use]\nrun = "cat data/raw/a.csv > out"\ninputs = ["{inputs}"]\noutputs = ["out"]\n'
    project = new_project(tmp_path, manifest)
    project.write("data/raw/a.csv", "1")
    project.gitml("add", "data/raw")
    project.write("data/raw/a.csv", "2")
    assert recorded(project) == [("data/raw", 0, 1)]


def test_repro_refuses_what_was_deleted_and_runs_nothing(project: Project) -> None:
    before = pointer(project, "data/raw")
    (project.path / "data/raw/b.csv").unlink()
    project.write("data/raw/c.csv", "new")
    project.write("tables/x.csv", "changed")
    called = project.gitml("repro", code=2)
    assert "source data/raw lost data/raw/b.csv" in called.stderr
    assert "gitml add data/raw" in called.stderr and "gitml checkout data/raw" in called.stderr
    assert pointer(project, "data/raw") == before
    assert sources(project)["tables/x.csv"]["state"] == "changed"
    project.gitml("add", "data/raw")
    assert "recorded" in project.gitml("repro").stdout


def test_repro_refuses_a_missing_source(project: Project) -> None:
    shutil.rmtree(project.path / "data/raw")
    called = project.gitml("repro", code=2)
    assert "source data/raw is missing" in called.stderr
    assert "gitml checkout data/raw brings it back" in called.stderr
    project.gitml("repro", "glob")


def test_a_folder_in_the_place_of_a_file_is_not_recorded_silently(project: Project) -> None:
    (project.path / "tables/x.csv").unlink()
    project.write("tables/x.csv/y", "1")
    assert "source tables/x.csv lost tables/x.csv" in project.gitml("repro", code=2).stderr


def test_a_change_whose_record_is_gone_is_for_the_user_to_say(project: Project) -> None:
    project.write("data/raw/c.csv", "new")
    shutil.rmtree(project.cache)
    called = project.gitml("repro", code=2)
    assert "the record of what it held is not in the cache" in called.stderr
    assert sources(project)["data/raw"]["added"] is None
    project.gitml("add", "data/raw")
    project.gitml("repro")


def test_a_source_that_git_tracks_is_refused(project: Project) -> None:
    project.repo.git("add", "-f", "data/raw/a.csv")
    for command in ("repro", "status", "lint"):
        called = project.gitml(command, code=2)
        assert "data/raw is tracked by Git" in called.stderr
        assert "git rm -r --cached data/raw" in called.stderr


def test_a_source_that_becomes_an_output_is_refused(project: Project) -> None:
    project.write("gitml.toml", STEP + '[step.more]\nrun = "true"\noutputs = ["data/raw/made.csv"]\n')
    called = project.gitml("repro", code=2)
    assert "source data/raw overlaps data/raw/made.csv, an output of step more" in called.stderr


def test_sources_that_a_merge_put_into_each_other_are_refused(project: Project) -> None:
    entry = json.loads(pointer(project, "tables/x.csv"))["entry"]
    inner = {"format": 1, "path": "data/raw/a.csv", "entry": entry}
    project.write(".gitml/sources/data/raw/a.csv.json", json.dumps(inner))
    assert "source data/raw/a.csv lies inside source data/raw" in project.gitml("status", code=2).stderr


def test_lint_knows_sources(project: Project) -> None:
    project.write("gitml.toml", STEP.replace('"data/raw"]', '"data/raw", "loose"]'))
    project.write("loose", "1")
    with (project.path / ".git/info/exclude").open("a") as exclude:
        exclude.write("loose\n")
    called = project.gitml("lint", code=1)
    assert called.stdout.count("unowned-input") == 1
    assert "gitml add loose" in called.stdout


def test_outputs_and_sources_are_ignored_together(project: Project) -> None:
    lines = (project.path / ".git/info/exclude").read_text().splitlines()
    assert lines[lines.index('# >>> gitml "." >>>') :] == [
        '# >>> gitml "." >>>',
        "/data/raw",
        "/out",
        "/sums",
        "/tables/x.csv",
        '# <<< gitml "." <<<',
    ]
    project.gitml("accept", "use", "--reason", "nothing")
    assert (project.path / ".git/info/exclude").read_text().splitlines() == lines


@pytest.mark.parametrize("change", ["file", "new file", "new pointer", "pointer", "pointer gone"])
def test_the_fast_path_sees_every_change(change: str, project: Project) -> None:
    project.write("lone/f", "1")
    project.gitml("add", "lone")
    for _ in range(3):
        project.gitml("status", "--check")
    if change == "file":
        project.write("lone/f", "2")
    elif change == "new file":
        project.write("lone/g", "2")
    elif change == "new pointer":
        text = pointer(project, "lone").replace('"lone"', '"other"')
        project.write(".gitml/sources/other.json", text)
    elif change == "pointer":
        digit = json.loads(pointer(project, "lone"))["entry"]["digest"][-1]
        other = "0" if digit != "0" else "1"
        project.write(".gitml/sources/lone.json", pointer(project, "lone").replace(f'{digit}",', f'{other}",'))
    else:
        (project.path / ".gitml/sources/lone.json").unlink()
        assert set(sources(project)) == {"data/raw", "tables/x.csv"}
        return
    project.gitml("status", "--check", code=3)


def test_a_project_in_a_folder_has_its_own(tmp_path: Path) -> None:
    project = new_project(tmp_path, "")
    project.write("inner/gitml.toml", "")
    project.write("inner/raw", "1")
    project.gitml("add", "raw", cwd="inner")
    assert project.exists("inner/.gitml/sources/raw.json")
    assert project.repo.git("check-ignore", "inner/raw") == "inner/raw"
    assert project.gitml("status").stdout == "no steps are declared\n"


@pytest.mark.parametrize("command", ["status", "repro"])
def test_an_edit_is_seen_where_the_command_has_a_glob_over_the_folder(tmp_path: Path, command: str) -> None:
    project = new_project(tmp_path, STEP.partition("[step.glob]")[0])
    project.write("data/raw/a.csv", "1")
    project.repro()
    time.sleep(0.1)
    project.gitml("status", "--check")
    project.gitml("status", "--check")
    project.write("data/raw/a.csv", "2")
    if command == "repro":
        project.repro()
        assert project.read("out") == "2"
    else:
        assert "stale" in project.gitml("status").stdout


@pytest.mark.parametrize("where", ["long", "data/raw/long"])
def test_a_link_into_the_cache_whose_object_is_gone_is_no_clean_source(project: Project, where: str) -> None:
    project.gitml("config", "cache.link", "symlink")
    project.write(where, b"l" * (2 << 20))
    source = where.removesuffix("/long")
    project.gitml("add", source)
    project.gitml("repro")
    assert sources(project)[source]["state"] == "clean"
    time.sleep(0.1)
    assert sources(project)[source]["state"] == "clean"
    assert (project.path / where).is_symlink()
    (project.path / where).resolve().unlink()
    assert sources(project)[source]["state"] == "changed"
