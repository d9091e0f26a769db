"""`gitml config`: what it shows, where it writes, what it refuses."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.functional.command import Project, new_project

STEP = '[step.make]\nrun = "echo made > out; echo make >> $RAN"\noutputs = ["out"]\n'


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return new_project(tmp_path, STEP)


def shown(project: Project, *args: str) -> dict[str, Any]:
    data = json.loads(project.gitml("config", "--json", *args).stdout)
    assert data["schema"] == "gitml-config/1"
    return {row["key"]: (row["value"], row["file"]) for row in data["values"]}


def test_every_value_is_shown_with_the_file_that_sets_it(project: Project) -> None:
    cache = str(project.cache)
    assert shown(project) == {"cache.dir": (cache, None), "cache.link": (["reflink", "copy"], None)}
    project.gitml("config", "--user", "cache.link", "copy")
    user = str(project.path.parent / "home/.config/gitml/config.toml")
    assert shown(project)["cache.link"] == (["copy"], user)
    project.gitml("config", "cache.link", "hardlink, copy")
    clone = str(project.machine / "config.toml")
    assert shown(project)["cache.link"] == (["hardlink", "copy"], clone)
    rows = [line.split() for line in project.gitml("config").stdout.splitlines()]
    assert rows == [["cache.dir", cache, "default"], ["cache.link", "hardlink,copy", clone]]
    assert shown(project, "--user") == {"cache.link": (["copy"], user)}


def test_one_value_is_printed_as_it_is_typed(project: Project) -> None:
    assert project.gitml("config", "cache.link").stdout == "reflink,copy\n"
    assert project.gitml("config", "cache.dir").stdout == f"{project.cache}\n"
    assert shown(project, "cache.link") == {"cache.link": (["reflink", "copy"], None)}
    assert project.gitml("config", "--user", "cache.link").stdout == ""


def test_a_value_is_dropped(project: Project) -> None:
    project.gitml("config", "cache.link", "copy")
    project.gitml("config", "--unset", "cache.link")
    assert shown(project)["cache.link"][1] is None
    assert "is not set in" in project.gitml("config", "--unset", "cache.link").stderr


def test_nothing_that_is_set_can_be_committed(project: Project) -> None:
    project.gitml("config", "cache.link", "copy")
    assert project.repo.git("status", "--short", "-uall") == ""


def test_the_users_file_needs_no_project(project: Project) -> None:
    elsewhere = project.path.parent / "home"
    project.gitml("config", "--user", "cache.link", "copy", cwd=str(elsewhere))
    assert shown(project)["cache.link"][0] == ["copy"]
    project.gitml("config", cwd=str(elsewhere), code=2)


def test_a_value_that_is_overruled_is_told(project: Project, tmp_path: Path) -> None:
    other = project.worktree(tmp_path / "other", "-b", "other")
    (other.machine).mkdir(exist_ok=True)
    (other.machine / "config.toml").write_text('cache.link = ["copy"]\n')
    called = other.gitml("config", "cache.link", "symlink")
    assert "cache.link is overruled here by" in called.stderr
    assert other.gitml("config", "cache.link").stdout == "copy\n"
    assert project.gitml("config", "cache.link").stdout == "symlink\n"


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["cache.links"], "there is no key 'cache.links'; keys: cache.dir, cache.link"),
        (["cache.link", "clone"], "'clone' is none of reflink, hardlink, symlink, copy"),
        (["cache.link", ""], "'' is none of"),
        (["cache.dir", "here"], "'here' is relative"),
        (["cache.dir", "/nowhere/at/all"], "cache.dir /nowhere/at/all is not a folder"),
        (["--unset"], "--unset wants a key"),
        (["--unset", "cache.link", "copy"], "--unset takes no value"),
        (["cache.link", "copy", "symlink"], "unexpected extra argument"),
    ],
)
def test_what_cannot_be_set_is_refused(args: list[str], told: str, project: Project) -> None:
    assert told in project.gitml("config", *args, code=2).stderr
    assert not (project.machine / "config.toml").exists()


def test_a_cache_in_the_worktree_is_not_set(project: Project) -> None:
    (project.path / "cache").mkdir()
    assert "lies in the worktree" in project.gitml("config", "cache.dir", f"{project.path}/cache", code=2).stderr


@pytest.mark.parametrize("command", [["status"], ["repro"], ["add", "gitml.toml"], ["gc"], ["du"], ["verify"]])
def test_a_share_that_is_not_mounted_is_told_and_nothing_is_made_in_its_place(
    command: list[str], project: Project, tmp_path: Path
) -> None:
    share = tmp_path / "share"
    share.mkdir()
    project.gitml("config", "cache.dir", str(share))
    share.rmdir()
    called = project.gitml(*command, code=2)
    assert f"config.toml:2:7: cache.dir {share} is not a folder" in called.stderr
    assert "mount it" in called.stderr
    assert not share.exists() and not project.cache.exists()
    project.gitml("config", "--unset", "cache.dir")
    project.repro()


@pytest.mark.parametrize("text", ["[cache]\nlink = 3\n", "[cache]\nlinks = []\n", "[cache\n"])
def test_a_file_that_is_not_valid_is_told_with_its_place(text: str, project: Project) -> None:
    project.machine.mkdir(exist_ok=True)
    (project.machine / "config.toml").write_text(text)
    for command in (["status"], ["config"], ["config", "cache.dir"]):
        assert f"error: {project.machine}/config.toml:" in project.gitml(*command, code=2).stderr


def test_a_clone_cannot_say_where_the_cache_lies(project: Project, tmp_path: Path) -> None:
    (tmp_path / "trap").mkdir()
    project.write(".gitml/config.toml", f'[cache]\ndir = "{tmp_path}/trap"\nlink = ["symlink"]\n')
    project.commit()
    for command in (["status"], ["repro"], ["config"], ["config", "cache.link", "copy"]):
        called = project.gitml(*command, code=2)
        assert ".gitml/config.toml:2:1: cache.dir may not be set by a committed file" in called.stderr
        assert ".gitml/config.toml:3:1: cache.link" in called.stderr
    assert list((tmp_path / "trap").iterdir()) == []


def test_a_fresh_verdict_needs_no_configuration(project: Project, tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    project.gitml("config", "cache.dir", str(share))
    project.repro()
    project.repro()
    share.rename(tmp_path / "away")
    assert project.states() == {"make": "fresh"}


def test_a_step_goes_on_from_another_cache_without_its_runs(project: Project, tmp_path: Path) -> None:
    project.repro()
    share = tmp_path / "share"
    share.mkdir()
    called = project.gitml("config", "cache.dir", str(share))
    assert f"what {project.cache} holds stays there" in called.stderr
    assert project.states() == {"make": "fresh"}
    (project.path / "out").unlink()
    assert project.repro().ran == ["make"]
    assert (share / "objects").is_dir()
    assert project.gitml("config", "cache.dir", str(share)).stderr == ""


def test_a_cache_is_taken_along_as_the_message_says(project: Project, tmp_path: Path) -> None:
    project.repro()
    share = tmp_path / "a share"
    share.mkdir()
    command = project.gitml("config", "cache.dir", str(share)).stderr.strip().partition("take it along: ")[2]
    subprocess.run(command, shell=True, check=True)
    (project.path / "out").unlink()
    assert project.repro().restored == ["make"]
    project.gitml("verify")


def test_symlinks_are_made_files_before_the_cache_changes(tmp_path: Path) -> None:
    project = new_project(tmp_path, "")
    project.gitml("config", "cache.link", "symlink")
    project.write("data/big", b"x" * (1 << 20))
    project.gitml("add", "data")
    share = tmp_path / "share"
    share.mkdir()
    assert "gitml checkout --relink" in project.gitml("config", "cache.dir", str(share)).stderr
    project.gitml("config", "--unset", "cache.dir")
    project.gitml("config", "cache.link", "copy")
    project.gitml("checkout", "--relink")
    assert not (project.path / "data/big").is_symlink()
    project.gitml("config", "cache.dir", str(share))
    assert project.gitml("status", "--check").stdout == "sources: 1 clean\n"
    project.gitml("add", "data")
    assert len(list((share / "objects").rglob("*"))) > 0
    project.gitml("verify")
