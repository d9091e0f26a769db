"""Files that share their bytes with the cache: reflink, hard link and symlink, through the installed command."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gitml.store.link import SHARED_FROM
from tests.functional.command import Project, new_project
from tests.functional.filesystems import mounted
from tests.functional.killing import FaultServer

STEP = """
[step.use]
run = "cat big.bin data/b.bin > out; mkdir -p made; cat big.bin data/small > made/x; echo use >> $RAN"
inputs = ["big.bin", "data"]
outputs = ["out", "made"]
"""
BIG = bytes(range(256)) * (SHARED_FROM // 256) + b"big"
OTHER = BIG[::-1]
SOURCES = ("big.bin", "data")


def project_at(folder: Path, links: str, step: str = STEP) -> Project:
    made = new_project(folder, step)
    made.gitml("config", "cache.link", links)
    write_data(made)
    return made


def write_data(project: Project) -> None:
    project.write("big.bin", BIG)
    project.write("data/b.bin", OTHER)
    project.write("data/small", "small")


def object_of(project: Project, path: str) -> Path:
    """Find the loose object that has the bytes of a file of the worktree."""
    data = (project.path / path).read_bytes()
    (found,) = (one for one in (project.cache / "objects").rglob("*") if one.is_file() and one.read_bytes() == data)
    return found


def sources(project: Project) -> dict[str, str]:
    found: list[dict[str, Any]] = json.loads(project.gitml("status", "--json").stdout)["sources"]
    return {row["path"]: row["state"] for row in found}


CLEAN = dict.fromkeys(SOURCES, "clean")


def is_shared(kind: str, project: Project, path: str) -> bool:
    """Tell whether a worktree file is its object (hardlink), leads to it (symlink), or is a file of its own (copy)."""
    full, stored = project.path / path, object_of(project, path)
    if kind == "symlink":
        return full.is_symlink() and str(full.readlink()) == str(stored)
    if kind == "hardlink":
        return full.samefile(stored) and not full.is_symlink()
    return not full.is_symlink() and not full.samefile(stored)


@pytest.mark.parametrize("kind", ["hardlink", "symlink", "copy"])
def test_data_is_kept_once_from_the_first_add_to_the_last_checkout(kind: str, tmp_path: Path) -> None:
    project = project_at(tmp_path, f"{kind},copy" if kind != "copy" else kind)
    project.gitml("add", *SOURCES)
    for path in ("big.bin", "data/b.bin"):
        assert is_shared(kind, project, path)
    assert sources(project) == CLEAN
    recorded = {path: project.read(f".gitml/sources/{path}.json") for path in SOURCES}
    assert json.loads(recorded["big.bin"])["entry"]["size"] == len(BIG)
    assert json.loads(recorded["big.bin"])["entry"]["mode"] == "file"
    assert "unchanged" in project.gitml("add", "big.bin").stdout

    assert project.repro().ran == ["use"]
    assert is_shared(kind, project, "out")
    assert (project.path / "out").read_bytes() == BIG + OTHER
    assert project.states() == {"use": "fresh"} and sources(project) == CLEAN
    assert project.repro().outcomes == {"use": "fresh"}
    project.gitml("verify")

    shutil.rmtree(project.path / "made")
    (project.path / "out").unlink()
    assert project.repro().restored == ["use"]
    assert is_shared(kind, project, "out") and is_shared(kind, project, "made/x")

    shutil.rmtree(project.path / "data")
    (project.path / "big.bin").unlink()
    project.gitml("checkout")
    for path in ("big.bin", "data/b.bin"):
        assert is_shared(kind, project, path)
    assert (project.path / "big.bin").read_bytes() == BIG
    assert project.states() == {"use": "fresh"} and sources(project) == CLEAN
    assert {path: project.read(f".gitml/sources/{path}.json") for path in SOURCES} == recorded
    project.gitml("gc", "--grace", "0")
    project.gitml("verify")


def test_a_hard_link_is_one_file_with_two_names_and_read_only(tmp_path: Path) -> None:
    project = project_at(tmp_path, "hardlink,copy")
    project.gitml("add", "big.bin")
    status = (project.path / "big.bin").stat()
    assert status.st_nlink == 2
    assert status.st_ino == object_of(project, "big.bin").stat().st_ino
    assert stat.S_IMODE(status.st_mode) == 0o444


def test_the_kind_of_link_is_no_part_of_what_is_recorded(tmp_path: Path) -> None:
    """Sources and keys are the same for all, so that a clone may choose for itself."""
    found = []
    for kind in ("copy", "hardlink", "symlink"):
        project = project_at(tmp_path / kind, kind)
        project.gitml("add", *SOURCES)
        project.repro()
        lock = json.loads(next((project.path / ".gitml/lock").rglob("*.json")).read_text())
        pointers = [project.read(f".gitml/sources/{path}.json") for path in SOURCES]
        found.append((pointers, lock["key"], lock["outputs"]))
    assert found[0] == found[1] == found[2]


def test_a_change_of_kind_holds_for_what_is_written_next(tmp_path: Path) -> None:
    project = project_at(tmp_path, "symlink")
    project.gitml("add", "big.bin")
    project.gitml("config", "cache.link", "hardlink")
    assert sources(project) == {"big.bin": "clean"}
    (project.path / "big.bin").unlink()
    project.gitml("checkout", "big.bin")
    assert is_shared("hardlink", project, "big.bin")
    assert sources(project) == {"big.bin": "clean"}


@pytest.mark.parametrize("kind", ["hardlink", "symlink"])
def test_an_executable_is_never_linked(kind: str, tmp_path: Path) -> None:
    project = project_at(
        tmp_path, f"{kind},copy", '[step.s]\nrun = "cp tool made"\ninputs = ["tool"]\noutputs = ["made"]'
    )
    project.write("tool", BIG, executable=True)
    project.gitml("add", "tool")
    for made in (False, True):
        if made:
            (project.path / "tool").unlink()
            project.gitml("checkout", "tool")
        status = (project.path / "tool").lstat()
        assert stat.S_ISREG(status.st_mode) and status.st_nlink == 1
        assert status.st_mode & stat.S_IXUSR and status.st_mode & stat.S_IWUSR
        assert not object_of(project, "tool").stat().st_mode & 0o111
        assert sources(project) == {"tool": "clean"}
    project.repro()
    assert stat.S_ISREG((project.path / "made").lstat().st_mode) and os.access(project.path / "made", os.X_OK)


@pytest.mark.parametrize("kind", ["hardlink", "symlink"])
def test_small_files_are_copied(kind: str, tmp_path: Path) -> None:
    project = project_at(tmp_path, kind)
    project.write("middle", BIG[: SHARED_FROM - 1])
    project.gitml("add", "middle", "data")
    for path in ("middle", "data/small"):
        status = (project.path / path).lstat()
        assert stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and status.st_mode & stat.S_IWUSR


def test_a_file_whose_bytes_are_stored_becomes_a_name_of_the_object(tmp_path: Path) -> None:
    project = project_at(tmp_path, "hardlink")
    project.gitml("add", "big.bin")
    project.write("data/again", BIG)
    project.gitml("add", "data")
    assert is_shared("hardlink", project, "data/again")
    assert (project.path / "data/again").stat().st_nlink == 3
    assert sources(project) == CLEAN
    assert "unchanged" in project.gitml("add", "data").stdout


@pytest.mark.parametrize("kind", ["reflink", "hardlink", "symlink", "copy"])
def test_a_damaged_object_gives_way_to_good_bytes(kind: str, tmp_path: Path) -> None:
    project = project_at(tmp_path, "copy")
    project.gitml("add", "big.bin")
    stored = object_of(project, "big.bin")
    stored.chmod(0o644)
    stored.write_bytes(OTHER)
    project.gitml("config", "cache.link", kind)
    project.write("data/again", BIG)
    project.gitml("add", "data/again")
    assert (project.path / "data/again").read_bytes() == BIG == stored.read_bytes()
    project.gitml("verify")


def test_a_file_with_other_names_is_left_to_them(tmp_path: Path) -> None:
    project = project_at(tmp_path, "hardlink,copy")
    (tmp_path / "mine").hardlink_to(project.path / "big.bin")
    project.gitml("add", "big.bin")
    status = (tmp_path / "mine").stat()
    assert status.st_nlink == 2 and status.st_mode & stat.S_IWUSR
    assert is_shared("copy", project, "big.bin")


@pytest.mark.parametrize("how", ["opens it to write", "appends to it", "replaces it"])
@pytest.mark.parametrize("kind", ["hardlink", "symlink"])
def test_a_step_that_writes_its_output_writes_to_no_object(kind: str, how: str, tmp_path: Path) -> None:
    write = {"opens it to write": "cat n >> n; cat raw n > out", "appends to it": "cat raw >> out; cat n >> out"}
    run = write.get(how, "cat raw n > tmp; mv tmp out")
    project = new_project(
        tmp_path, f'[step.a]\nrun = "{run}"\ninputs = ["raw"]\ncode = ["n"]\noutputs = ["out"]\n', n="1"
    )
    project.gitml("config", "cache.link", kind)
    project.write("raw", BIG)
    if how == "opens it to write":
        project.write("gitml.toml", project.read("gitml.toml").replace("cat n >> n; ", ""))
    project.commit()
    project.repro()
    assert is_shared(kind, project, "out")
    first = object_of(project, "out")
    bytes_of_first = first.read_bytes()
    project.write("n", "2")
    project.repro()
    assert first.read_bytes() == bytes_of_first
    assert (project.path / "out").read_bytes() == BIG + b"2"
    project.gitml("verify")


@pytest.mark.parametrize("kind", ["hardlink", "symlink"])
def test_an_object_that_is_edited_in_place_is_found(kind: str, tmp_path: Path) -> None:
    project = project_at(tmp_path, kind)
    project.gitml("add", "big.bin")
    path = project.path / "big.bin"
    object_of(project, "big.bin").chmod(0o644)
    with path.open("r+b") as file:
        file.write(b"edited")
    called = project.gitml("verify", code=5)
    assert "big.bin" in called.stdout + called.stderr
    if kind == "hardlink":
        assert sources(project) == {"big.bin": "changed"}


def test_a_link_to_anything_else_stays_a_link(tmp_path: Path) -> None:
    project = project_at(tmp_path, "symlink")
    outside = tmp_path / "object"
    outside.write_bytes(BIG)
    (project.path / "big.bin").unlink()
    (project.path / "big.bin").symlink_to(outside)
    assert "is a symlink" in project.gitml("add", "big.bin", code=2).stderr
    named = project.cache / "objects" / "ab" / ("cd" * 31)
    (project.path / "big.bin").unlink()
    (project.path / "big.bin").symlink_to(named)  # an object that is not there
    assert "is a symlink" in project.gitml("add", "big.bin", code=2).stderr


@pytest.fixture
def other_file_system(tmp_path: Path) -> Iterator[Path]:
    with mounted("tmpfs", tmp_path / "mounts") as place:
        yield place


@pytest.mark.parametrize("kinds", ["reflink,copy", "hardlink,copy", "hardlink", "reflink,hardlink,symlink", "symlink"])
def test_a_cache_on_another_file_system_is_copied_to_where_links_cannot_lead(
    kinds: str, tmp_path: Path, other_file_system: Path
) -> None:
    project = project_at(tmp_path, kinds)
    cache = other_file_system / "cache"
    cache.mkdir()
    project.gitml("config", "cache.dir", str(cache))
    for _ in range(2):
        project.gitml("add", *SOURCES)
        project.repro()
        for path in ("big.bin", "data/b.bin", "out", "made/x"):
            status = (project.path / path).lstat()
            assert stat.S_ISLNK(status.st_mode) == ("symlink" in kinds)
            assert stat.S_ISLNK(status.st_mode) or (status.st_nlink == 1 and status.st_mode & stat.S_IWUSR)
        assert (project.path / "big.bin").read_bytes() == BIG
        assert sources(project) == CLEAN and project.states() == {"use": "fresh"}
        assert [name for name in os.listdir(project.path) if name.startswith(".gitml-")] == []
        for path in ("big.bin", "out"):
            (project.path / path).unlink()
        for path in ("data", "made"):
            shutil.rmtree(project.path / path)
        project.gitml("checkout")
    assert not project.cache.exists()


EXTENT = re.compile(r"^\s*\d+:.*?:\s*(\d+)\.\.\s*(\d+):.*$", re.MULTILINE)


def extents(path: Path) -> list[tuple[int, int]]:
    """Name the physical extents of a file, as `filefrag -v` tells them."""
    shown = subprocess.run(["filefrag", "-v", str(path)], capture_output=True, text=True, check=True).stdout
    return [(int(first), int(last)) for first, last in EXTENT.findall(shown)]


@pytest.mark.parametrize("kind", ["btrfs", "xfs"])
def test_a_reflink_shares_its_extents(kind: str, tmp_path: Path) -> None:
    if shutil.which("filefrag") is None:
        pytest.skip("there is no filefrag")
    with mounted(kind, tmp_path / "mounts") as place:
        project = project_at(place / "work", "reflink")
        project.gitml("add", *SOURCES)
        subprocess.run(["sync", "-f", str(place)], check=True)
        stored = {path: object_of(project, path) for path in ("big.bin", "data/b.bin")}
        for path, found in stored.items():
            assert extents(project.path / path) == extents(found) != []
            status = (project.path / path).stat()
            assert status.st_nlink == 1 and status.st_mode & stat.S_IWUSR
        assert sources(project) == CLEAN
        project.repro()
        shutil.rmtree(project.path / "data")
        (project.path / "big.bin").unlink()
        (project.path / "out").unlink()
        shutil.rmtree(project.path / "made")
        project.gitml("checkout", *SOURCES)
        assert project.repro().restored == ["use"]
        subprocess.run(["sync", "-f", str(place)], check=True)
        for path in ("big.bin", "data/b.bin", "out", "made/x"):
            assert extents(project.path / path) == extents(object_of(project, path)) != []
        with (project.path / "big.bin").open("r+b") as file:
            file.write(b"mine")
        assert stored["big.bin"].read_bytes() == BIG
        assert sources(project)["big.bin"] == "changed"
        project.gitml("verify")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultServer]:
    with FaultServer(tmp_path_factory.mktemp("faults")) as running:
        yield running


@pytest.mark.parametrize("where", ["beside", "elsewhere"])
@pytest.mark.parametrize("fault", ["kill", "EIO", "ENOSPC"])
@pytest.mark.parametrize("kind", ["hardlink", "symlink"])
def test_a_fault_at_any_change_of_an_add_leaves_the_bytes_at_their_path(
    kind: str, fault: str, where: str, tmp_path: Path, server: FaultServer
) -> None:
    if where == "elsewhere" and (kind == "hardlink" or fault == "EIO"):
        pytest.skip("this is a copy, or as it is beside")
    with mounted("tmpfs", tmp_path / "mounts") if where == "elsewhere" else _nothing(tmp_path / "other") as elsewhere:
        project = new_project(tmp_path, "")
        project.gitml("config", "cache.link", kind)
        cache = elsewhere / "cache"
        if where == "elsewhere":
            cache.mkdir()
            project.gitml("config", "cache.dir", str(cache))
        fresh = tmp_path / "fresh"
        write_data(project)
        shutil.copytree(project.path, fresh, symlinks=True)

        def again() -> None:
            shutil.rmtree(project.path)
            shutil.copytree(fresh, project.path, symlinks=True)
            if where == "elsewhere":
                shutil.rmtree(cache)
                cache.mkdir()

        calm = server.run(project.path, "add", *SOURCES, environ=project.environ)
        assert calm.code == 0 and calm.changes > 10, calm.shown
        assert (project.path / "big.bin").is_symlink() == (kind == "symlink")
        pointers = {path: project.read(f".gitml/sources/{path}.json") for path in SOURCES}
        step = 1 if os.environ.get("GITML_FULL") == "1" else {"kill": 2}.get(fault, 5)
        for at in range(1, calm.changes + 1, step):
            again()
            struck = server.run(project.path, "add", *SOURCES, environ=project.environ, fault=fault, at=at)
            told = f"{fault} at change {at} of {calm.changes}: exit {struck.code}\n{struck.shown}"
            assert "Traceback" not in struck.shown, told
            for path, data in (("big.bin", BIG), ("data/b.bin", OTHER), ("data/small", b"small")):
                assert (project.path / path).read_bytes() == data, told
            after = server.run(project.path, "add", *SOURCES, environ=project.environ)
            assert after.code == 0, told + after.shown
            assert {path: project.read(f".gitml/sources/{path}.json") for path in SOURCES} == pointers, told
            clean = server.run(project.path, "status", "--check", environ=project.environ)
            assert (clean.code, clean.shown) == (0, "sources: 2 clean\n"), told + clean.shown


@pytest.mark.parametrize("kind", ["hardlink", "symlink"])
def test_a_kill_at_any_change_of_a_run_harms_no_object(kind: str, tmp_path: Path, server: FaultServer) -> None:
    step = '[step.use]\nrun = "cat raw n > out"\ninputs = ["raw", "n"]\noutputs = ["out"]\n'
    project = new_project(tmp_path, step, n="1")
    project.gitml("config", "cache.link", kind)
    project.write("raw", BIG)
    project.gitml("add", "raw")
    project.repro()
    project.write("n", "2")
    fresh = tmp_path / "fresh"
    project.path.rename(fresh)

    def again() -> None:
        shutil.rmtree(project.path, ignore_errors=True)
        subprocess.run(["cp", "-a", str(fresh), str(project.path)], check=True)  # hard links stay what they are

    again()
    calm = server.run(project.path, "repro", environ=project.environ)
    assert calm.code == 0 and calm.changes > 10, calm.shown
    for at in range(1, calm.changes + 1, 1 if os.environ.get("GITML_FULL") == "1" else 4):
        again()
        struck = server.run(project.path, "repro", environ=project.environ, fault="kill", at=at)
        for args in (["repro"], ["verify"], ["status", "--check"]):
            after = server.run(project.path, *args, environ=project.environ)
            assert after.code == 0, f"kill at change {at} of {calm.changes}: {args}\n{struck.shown}{after.shown}"
        assert (project.path / "out").read_bytes() == BIG + b"2"
        assert is_shared(kind, project, "out") and is_shared(kind, project, "raw")


class _nothing:
    """A context that only makes a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder

    def __exit__(self, *_: object) -> None:
        pass
