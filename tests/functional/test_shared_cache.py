"""One cache for several repositories, and for several users of a group."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gitml.store.link import SHARED_FROM
from tests.functional.command import GITML, Project, new_project

STEP = """
[step.make]
run = "cat raw/* x > out; mkdir -p many; for n in $(seq 80); do echo $n $(cat x) > many/$n; done; echo make >> $RAN"
inputs = ["raw", "x"]
outputs = ["out", "many"]
"""
BIG = bytes(range(256)) * (SHARED_FROM // 256) + b"big"


def project_at(folder: Path, cache: Path, *, x: str = "1") -> Project:
    made = new_project(folder, STEP, x=x)
    made.gitml("config", "cache.dir", str(cache))
    made.write("raw/big.bin", BIG)
    made.write("raw/small", x)
    return made


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder


def drop_outputs(project: Project) -> None:
    (project.path / "out").unlink()
    shutil.rmtree(project.path / "many")


def registered(cache: Path) -> int:
    return len(list((cache / "projects").iterdir()))


def test_what_one_repository_made_is_restored_in_another(tmp_path: Path, cache: Path) -> None:
    one, two = project_at(tmp_path / "one", cache), project_at(tmp_path / "two", cache)
    one.gitml("add", "raw")
    assert one.repro().ran == ["make"]
    assert one.calls() == ["make"]
    two.gitml("add", "raw")
    assert two.repro().restored == ["make"]
    assert two.calls() == []
    assert (two.path / "out").read_bytes() == (one.path / "out").read_bytes() == BIG + b"11"
    assert two.read("many/80") == "80 1\n"
    assert not one.cache.exists() and not two.cache.exists()
    assert registered(cache) == 2


def test_a_repository_is_registered_before_anything_of_it_is_stored(tmp_path: Path, cache: Path) -> None:
    one = project_at(tmp_path, cache)
    one.states()
    assert list(cache.iterdir()) == []
    one.gitml("add", "raw/small")
    assert registered(cache) == 1
    text = next((cache / "projects").iterdir()).read_text()
    assert f'"{one.path}/.git"' in text


def test_a_linked_worktree_is_the_same_repository(tmp_path: Path, cache: Path) -> None:
    one = project_at(tmp_path, cache)
    one.gitml("add", "raw")
    one.repro()
    one.commit()
    other = one.worktree(tmp_path / "other", "-b", "other")
    other.gitml("checkout", "raw")
    assert other.repro().outcomes == {"make": "restored"}
    assert registered(cache) == 1


def test_a_collector_keeps_what_the_other_repository_needs(tmp_path: Path, cache: Path) -> None:
    one, two = project_at(tmp_path / "one", cache, x="1"), project_at(tmp_path / "two", cache, x="2")
    for project in (one, two):
        project.gitml("add", "raw")
        project.repro()
        project.commit()
    one.gitml("gc", "--grace", "0")
    drop_outputs(two)
    shutil.rmtree(two.path / "raw")
    two.gitml("checkout", "raw")
    assert two.repro().restored == ["make"]
    two.gitml("verify")
    shutil.rmtree(one.path)
    two.gitml("gc", "--forget", f"{one.path}/.git")
    before = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
    two.gitml("gc", "--grace", "0")
    assert sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) < before
    drop_outputs(two)
    assert two.repro().restored == ["make"]


def test_two_repositories_run_a_key_once(tmp_path: Path, cache: Path) -> None:
    slow = STEP.replace("cat raw/*", "sleep 1; cat raw/*")
    projects = [project_at(tmp_path / name, cache) for name in ("one", "two")]
    for project in projects:
        project.write("gitml.toml", slow)
        project.gitml("add", "raw")
        project.commit()
    running = [project.start("repro", "--json") for project in projects]
    for call in running:
        stdout, stderr = call.communicate(timeout=60)
        assert call.returncode == 0, stdout + stderr
    assert [call for project in projects for call in project.calls()] == ["make"]


@pytest.mark.parametrize("links", ["copy", "hardlink,copy", "symlink"])
def test_all_that_is_made_is_the_groups_whatever_the_umask(links: str, tmp_path: Path, cache: Path) -> None:
    group = 4242 if os.geteuid() == 0 else os.getegid()
    os.chown(cache, -1, group)
    cache.chmod(0o2775)
    for name, umask in (("one", 0o077), ("two", 0o022)):
        old = os.umask(umask)
        try:
            project = project_at(tmp_path / name, cache, x=name)
            project.gitml("config", "cache.link", links)
            project.gitml("add", "raw")
            project.repro()
            project.gitml("gc", "--grace", "0")
            project.gitml("verify")
        finally:
            os.umask(old)
    wrong = [
        (str(path), oct(status.st_mode), status.st_gid)
        for path in cache.rglob("*")
        if (status := path.lstat()) and not is_the_groups(path.relative_to(cache), status, group)
    ]
    assert wrong == []


def is_the_groups(path: Path, status: os.stat_result, group: int) -> bool:
    """Tell whether the group may use what stands at a path: write folders and claims, read what never changes."""
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISDIR(status.st_mode):
        return status.st_gid == group and mode == 0o2775
    if path.parts[0] in ("objects", "packs"):
        return mode == 0o444  # a hard link may be of another group: everybody may read it
    return status.st_gid == group and mode & 0o060 == 0o060


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv")
@pytest.mark.parametrize("links", ["copy", "reflink,hardlink,copy", "symlink"])
def test_another_user_of_the_group_reads_and_adds(links: str, tmp_path: Path, cache: Path) -> None:
    if not (os.access(GITML, os.X_OK) and can_be_run_by_others()):
        pytest.skip("nobody cannot reach the installed command")
    os.chown(cache, -1, 4242)
    cache.chmod(0o2775)
    one = project_at(tmp_path / "one", cache)
    one.gitml("config", "cache.link", links)
    old = os.umask(0o077)
    try:
        one.gitml("add", "raw")
        one.repro()
    finally:
        os.umask(old)
    two = project_at(tmp_path / "two", cache)
    two.gitml("config", "cache.link", links)
    nobody = pwd.getpwnam("nobody")
    for path in (tmp_path / "two", *(tmp_path / "two").rglob("*")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)
    for folder in (tmp_path, *tmp_path.parents):
        if folder != Path("/tmp") and folder.is_relative_to("/tmp"):
            folder.chmod(0o755)
    as_nobody(two, "add", "raw")
    assert as_nobody(two, "repro").startswith("↓ make  restored")
    (two.path / "x").write_text("new")
    assert "ran" in as_nobody(two, "repro")
    as_nobody(two, "verify")
    assert registered(cache) == 2
    drop_outputs(one)
    one.write("x", "new")
    assert one.repro().restored == ["make"]
    one.gitml("verify")


def as_nobody(project: Project, *args: str) -> str:
    who = pwd.getpwnam("nobody")
    done = subprocess.run(
        ["setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--groups=4242", GITML, *args],
        cwd=project.path,
        env=project.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def can_be_run_by_others() -> bool:
    who = pwd.getpwnam("nobody")
    command = ["setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups", sys.executable, "-c", ""]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
