"""`gitml verify`: what it finds, whom it says needs it, and what it puts back."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from tests.functional.command import Project, new_project
from tests.functional.killing import FaultServer
from tests.functional.pipelines import training
from tests.servers import WebServer, web_server

FOLDERS = """\
[step.make]
run = "mkdir -p out/deep && echo one > out/a.txt && echo two > out/deep/b.txt && cp out/a.txt out/deep/same.txt"
outputs = ["out"]

[step.single]
run = "echo alone > single.txt"
outputs = ["single.txt"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = new_project(tmp_path, FOLDERS)
    made.repro()
    made.commit("run")
    return made


def object_of(project: Project, data: bytes) -> Path:
    name = blake3(data).hexdigest()
    return project.cache / "objects" / name[:2] / name[2:]


def spoil(path: Path, data: bytes = b"spoilt\n") -> None:
    """Change a file in place, as an editor would through a hard link."""
    path.chmod(0o644)
    path.write_bytes(data)


def verify(project: Project, *args: str, code: int = 0) -> Any:
    found = json.loads(project.gitml("verify", "--json", *args, code=code).stdout)
    assert found["schema"] == "gitml-verify/1"
    return found


def quarantined(project: Project) -> dict[str, bytes]:
    folder = project.cache / "quarantine"
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def test_a_whole_cache(project: Project) -> None:
    found = verify(project)
    assert found["objects"] >= 5
    assert found["damaged"] == found["missing"] == found["strays"] == []
    assert "objects are whole" in project.gitml("verify").stdout
    assert project.gitml("verify", "-q").stdout == ""


def test_an_empty_cache(tmp_path: Path) -> None:
    assert verify(new_project(tmp_path, FOLDERS))["objects"] == 0


def test_a_clone_without_data_has_lost_nothing(project: Project, tmp_path: Path) -> None:
    project.repo.git("clone", "-q", str(project.path), str(tmp_path / "clone"))
    clone = Project(type(project.repo)(tmp_path / "clone", project.repo.environ), project.ran_log)
    found = verify(clone)
    assert found["damaged"] == []


class TestDamage:
    def test_names_the_path_inside_an_output_and_everyone_who_needs_it(self, project: Project) -> None:
        spoil(object_of(project, b"two\n"))
        (loss,) = verify(project, code=5)["damaged"]
        assert loss["digest"] == "blake3:" + blake3(b"two\n").hexdigest()
        assert loss["fault"] == "damaged"
        assert {(need["step"], need["path"]) for need in loss["needs"]} == {("make", "out/deep/b.txt")}
        wheres = {need["where"] for need in loss["needs"]}
        assert str(project.path) in wheres
        assert "refs/heads/main" in wheres
        assert any(where.startswith("run ") for where in wheres)
        assert loss["needs"][0]["remedy"] == "gitml repro make"

    def test_names_every_path_of_bytes_that_stand_twice(self, project: Project) -> None:
        spoil(object_of(project, b"one\n"))
        (loss,) = verify(project, code=5)["damaged"]
        assert {need["path"] for need in loss["needs"]} == {"out/a.txt", "out/deep/same.txt"}

    def test_the_wrong_bytes_are_kept_aside(self, project: Project) -> None:
        spoil(object_of(project, b"two\n"), b"an edit of mine\n")
        (loss,) = verify(project, code=5)["damaged"]
        assert Path(loss["kept"]).read_bytes() == b"an edit of mine\n"
        assert not object_of(project, b"two\n").exists()

    def test_says_it_for_people(self, project: Project) -> None:
        spoil(object_of(project, b"alone\n"))
        shown = project.gitml("verify", code=5).stdout
        assert re.search(r"single\.txt of step single at .*refs/heads/main", shown)
        assert "gitml verify --repair" in shown
        assert "gitml repro single" in shown
        assert str(project.cache / "quarantine") in shown
        assert "1 damaged" in shown

    def test_repro_makes_it_again(self, project: Project) -> None:
        spoil(object_of(project, b"alone\n"))
        verify(project, code=5)
        (project.path / "single.txt").unlink()
        assert project.repro().ran == ["single"]
        assert verify(project)["missing"] == []

    def test_is_named_as_missing_afterwards(self, project: Project) -> None:
        spoil(object_of(project, b"alone\n"))
        verify(project, code=5)
        (loss,) = verify(project)["missing"]
        assert loss["needs"][0]["path"] == "single.txt"
        assert "1 missing" in project.gitml("verify").stdout

    def test_all_kinds_of_wrong_files(self, project: Project) -> None:
        empty, folder, pipe, link = (object_of(project, data) for data in (b"alone\n", b"one\n", b"two\n", b"three\n"))
        spoil(empty, b"")
        folder.unlink()
        folder.mkdir()
        (folder / "inside").write_text("mine")
        pipe.unlink()
        os.mkfifo(pipe)
        link.parent.mkdir(exist_ok=True)
        link.symlink_to("/etc/passwd")
        found = {loss["file"]: loss["fault"] for loss in verify(project, code=5)["damaged"]}
        shown = {str(path.relative_to(project.cache)): fault for path, fault in found_as(empty, folder, pipe, link)}
        assert found == shown
        assert (project.cache / "quarantine" / (folder.parent.name + folder.name) / "inside").read_text() == "mine"
        assert verify(project)["damaged"] == []

    def test_a_run_log(self, project: Project) -> None:
        (project.path / "single.txt").unlink()
        project.write("gitml.toml", FOLDERS.replace("echo alone >", "echo loud words; echo alone >"))
        project.repro()
        spoil(object_of(project, b"loud words\n"))
        (loss,) = verify(project, code=5)["damaged"]
        assert [(need["step"], need["path"]) for need in loss["needs"]] == [("single", "its log")]

    def test_what_nobody_needs_is_said_to_be_so(self, project: Project) -> None:
        lonely = object_of(project, b"nobody's")
        lonely.parent.mkdir(exist_ok=True)
        lonely.write_bytes(b"other")
        assert "nothing that is known here needs it" in project.gitml("verify", code=5).stdout

    def test_what_only_an_old_commit_needs(self, project: Project) -> None:
        project.write("gitml.toml", FOLDERS.replace("echo alone", "echo new"))
        project.repro()
        project.commit("new")
        project.repo.git("branch", "old", "HEAD~1")
        shutil.rmtree(project.cache / "runs")
        spoil(object_of(project, b"alone\n"))
        (loss,) = verify(project, code=5)["damaged"]
        assert [(need["where"], need["path"]) for need in loss["needs"]] == [("refs/heads/old", "single.txt")]

    def test_a_folder_that_is_gone_from_git_does_not_hide_damage(self, project: Project) -> None:
        spoil(object_of(project, b"alone\n"))
        (project.path / ".git" / "refs" / "heads" / "broken").write_text("1" * 40 + "\n")
        called = project.gitml("verify", code=5)
        assert "1 damaged" in called.stdout
        assert "could be read" in called.stderr


def found_as(empty: Path, folder: Path, pipe: Path, link: Path) -> list[tuple[Path, str]]:
    return [(empty, "damaged"), (folder, "no file"), (pipe, "no file"), (link, "no file")]


class TestRepair:
    def test_puts_back_what_the_worktree_has(self, project: Project) -> None:
        for data in (b"one\n", b"two\n", b"alone\n"):
            spoil(object_of(project, data))
        found = verify(project, "--repair")
        assert {Path(loss["restored"]).relative_to(project.path).as_posix() for loss in found["damaged"]} == {
            "out/a.txt",
            "out/deep/b.txt",
            "single.txt",
        }
        assert verify(project)["missing"] == []
        shutil.rmtree(project.path / "out")
        assert project.repro().restored == ["make"]
        assert project.read("out/deep/b.txt") == "two\n"

    def test_puts_back_what_was_quarantined_before(self, project: Project) -> None:
        spoil(object_of(project, b"alone\n"))
        verify(project, code=5)
        (loss,) = verify(project, "--repair")["missing"]
        assert loss["restored"] == str(project.path / "single.txt")
        assert verify(project)["missing"] == []

    def test_takes_no_copy_that_differs(self, project: Project) -> None:
        spoil(object_of(project, b"alone\n"))
        project.write("single.txt", "alone!")
        (loss,) = verify(project, "--repair", code=5)["damaged"]
        assert loss["restored"] is None
        assert project.read("single.txt") == "alone!"

    def test_takes_a_copy_from_another_worktree(self, project: Project, tmp_path: Path) -> None:
        other = project.worktree(tmp_path / "other", "-b", "other")
        other.repro()
        spoil(object_of(project, b"alone\n"))
        (project.path / "single.txt").unlink()
        (loss,) = verify(project, "--repair")["damaged"]
        assert loss["restored"] == str(other.path / "single.txt")

    def test_rebuilds_folders_and_what_they_name(self, project: Project) -> None:
        trees = [
            path for path in (project.cache / "objects").glob("*/*") if path.read_bytes().startswith(b"gitml-tree")
        ]
        assert len(trees) == 2
        for path in [*trees, object_of(project, b"two\n")]:
            spoil(path)
        found = verify(project, "--repair")
        assert len(found["damaged"]) == 3
        assert all(loss["restored"] for loss in found["damaged"])
        shutil.rmtree(project.path / "out")
        assert project.repro().restored == ["make"]
        assert project.read("out/deep/b.txt") == "two\n"

    def test_a_source(self, project: Project) -> None:
        project.write("data/raw/x y\nz.csv", "1,2\n")
        project.gitml("add", "data/raw")
        spoil(object_of(project, b"1,2\n"))
        (loss,) = verify(project, "--repair")["damaged"]
        assert loss["needs"][0]["path"] == "data/raw/x y\nz.csv"
        assert loss["restored"] is not None
        assert verify(project)["damaged"] == []

    def test_a_whole_cache_is_left_alone(self, project: Project) -> None:
        before = tree_of(project.cache / "objects")
        verify(project, "--repair")
        assert tree_of(project.cache / "objects") == before


class TestDownloads:
    @pytest.fixture
    def web(self) -> Iterator[WebServer]:
        with web_server() as running:
            yield running

    def downloaded(self, tmp_path: Path, web: WebServer) -> Project:
        web.put("/rows.csv", b"published,rows\n")
        project = new_project(tmp_path, f'[source."rows.csv"]\nurl = "{web.url}/rows.csv"\n')
        project.gitml("update", "rows.csv")
        spoil(object_of(project, b"published,rows\n"))
        (project.path / "rows.csv").unlink()
        return project

    def test_what_was_downloaded_is_downloaded_again(self, tmp_path: Path, web: WebServer) -> None:
        project = self.downloaded(tmp_path, web)
        (loss,) = verify(project, code=5)["damaged"]
        assert loss["needs"][0]["remedy"] == "gitml update rows.csv"
        (loss,) = verify(project, "--repair")["missing"]
        assert loss["restored"] == f"{web.url}/rows.csv"
        assert object_of(project, b"published,rows\n").read_bytes() == b"published,rows\n"
        assert not project.exists("rows.csv"), "the worktree is not touched"

    def test_what_never_was_here_is_not_downloaded(self, tmp_path: Path, web: WebServer) -> None:
        project = self.downloaded(tmp_path, web)
        shutil.rmtree(project.cache)
        (loss,) = verify(project, "--repair")["missing"]
        assert loss["restored"] is None

    def test_other_content_is_not_taken(self, tmp_path: Path, web: WebServer) -> None:
        project = self.downloaded(tmp_path, web)
        web.put("/rows.csv", b"rows of today..\n")
        called = project.gitml("verify", "--repair", code=5)
        assert "other content now" in called.stderr
        assert not object_of(project, b"published,rows\n").exists()
        assert not any((project.cache / "tmp").iterdir())


class TestPacks:
    """Many small files lie in packs."""

    @pytest.fixture
    def packed(self, tmp_path: Path) -> Project:
        project = new_project(tmp_path, "")
        for number in range(300):
            project.write(f"data/{number % 7}/{number}.txt", f"row {number}\n" * 20)
        project.gitml("add", "data")
        assert list((project.cache / "packs").glob("*.pack"))
        return project

    def flip(self, project: Project, content: bytes) -> Path:
        for pack in (project.cache / "packs").glob("*.pack"):
            data = bytearray(pack.read_bytes())
            at = data.find(content)
            if at >= 0:
                data[at] ^= 1
                pack.chmod(0o644)
                pack.write_bytes(data)
                return pack
        raise AssertionError("it is in no pack")

    def test_one_object_is_named_by_its_path_and_put_back(self, packed: Project) -> None:
        self.flip(packed, b"row 123\n" * 20)
        (loss,) = verify(packed, code=5)["damaged"]
        assert {need["path"] for need in loss["needs"]} == {"data/4/123.txt"}
        assert Path(loss["kept"]).stat().st_size == 160
        (loss,) = verify(packed, "--repair")["missing"]
        assert loss["restored"] == str(packed.path / "data/4/123.txt")
        assert verify(packed)["missing"] == []
        shutil.rmtree(packed.path / "data")
        packed.gitml("checkout", "data")
        assert packed.read("data/4/123.txt") == "row 123\n" * 20

    def test_a_pack_without_its_end_is_repaired_from_the_worktree(self, packed: Project) -> None:
        (pack,) = (packed.cache / "packs").glob("*.pack")
        pack.chmod(0o644)
        os.truncate(pack, pack.stat().st_size - 7)
        found = verify(packed, "--repair", code=5)
        assert [(loss["digest"], loss["file"]) for loss in found["damaged"]] == [(None, f"packs/{pack.name}")]
        assert len(found["missing"]) == 300
        assert all(loss["restored"] for loss in found["missing"])
        wanted = tree_of(packed.path / "data")
        shutil.rmtree(packed.path / "data")
        packed.gitml("checkout", "data")
        assert {path: data for path, (_, data) in tree_of(packed.path / "data").items()} == {
            path: data for path, (_, data) in wanted.items()
        }
        assert verify(packed)["damaged"] == []


def test_a_kill_while_it_repairs_leaves_nothing_half_done(project: Project, tmp_path: Path) -> None:
    with FaultServer(tmp_path / "faults") as server:
        at = 0
        while True:
            at += 1
            stored = object_of(project, b"alone\n")
            if not stored.exists():
                verify(project, "--repair")
            spoil(stored, b"an edit\n")
            ended = server.run(project.path, "verify", "--repair", environ=project.environ, fault="kill", at=at)
            kept = list(quarantined(project).values())
            assert b"an edit\n" in ([stored.read_bytes()] if stored.exists() else []) + kept
            verify(project, "--repair")
            assert stored.read_bytes() == b"alone\n"
            assert project.read("single.txt") == "alone\n"
            if ended.code == 0:
                assert at > 3
                return


class TestSharedFiles:
    def test_an_edit_through_a_hard_link_is_kept_and_said(self, project: Project) -> None:
        stored, worktree = object_of(project, b"alone\n"), project.path / "single.txt"
        worktree.unlink()
        os.link(stored, worktree)
        spoil(worktree, b"my only copy\n")
        called = project.gitml("verify", code=5)
        assert f"{worktree} is that very file" in called.stdout
        assert worktree.read_bytes() == b"my only copy\n"
        assert list(quarantined(project).values()) == [b"my only copy\n"]
        assert not stored.exists()

    def test_an_edit_through_a_symlink_is_kept(self, project: Project) -> None:
        stored, worktree = object_of(project, b"alone\n"), project.path / "single.txt"
        worktree.unlink()
        worktree.symlink_to(stored)
        spoil(worktree, b"my only copy\n")
        (loss,) = verify(project, "--repair", code=5)["damaged"]
        assert loss["shared"] == [str(worktree)]
        assert Path(loss["kept"]).read_bytes() == b"my only copy\n"

    def test_two_edits_one_after_the_other_are_both_kept(self, project: Project) -> None:
        stored, worktree = object_of(project, b"alone\n"), project.path / "single.txt"
        for edit in (b"first edit\n", b"second edit\n"):
            worktree.unlink()
            worktree.write_text("alone\n")
            verify(project, "--repair")
            spoil(stored, edit)
            verify(project, "--repair")
        assert sorted(quarantined(project).values()) == [b"first edit\n", b"second edit\n"]


class TestSample:
    def test_looks_at_part_of_them(self, project: Project) -> None:
        every = verify(project)["objects"]
        assert verify(project, "--sample", "2")["objects"] == 2
        assert verify(project, "--sample", "50%")["objects"] == -(-every // 2)
        assert verify(project, "--sample", "100%")["objects"] == every
        assert verify(project, "--sample", "1000000")["objects"] == every

    def test_a_seed_repeats_a_sample(self, project: Project) -> None:
        spoil(object_of(project, b"two\n"))
        seeds = [str(n) for n in range(40)]
        hits = [seed for seed in seeds if project.gitml("verify", "--sample", "1", "--seed", seed, code=None).code == 5]
        assert len(hits) == 1, "the first that met it has moved it away"
        said = verify(project, "--sample", "1")["seed"]
        assert said is not None

    @pytest.mark.parametrize("text", ["0", "0%", "101%", "-1", "x", "5 %", ""])
    def test_refuses_what_is_no_sample(self, project: Project, text: str) -> None:
        assert "neither a percentage nor a number" in project.gitml("verify", f"--sample={text}", code=2).stderr


class TestStrangers:
    def test_names_what_is_no_object_and_leaves_it(self, project: Project) -> None:
        objects = project.cache / "objects"
        strays = ["README", "zz/abc", "ab/short", "ab/" + "A" * 62, "ab/new\nline"]
        for name in strays:
            (objects / name).parent.mkdir(exist_ok=True)
            (objects / name).write_text("mine")
        found = verify(project)
        assert sorted(found["strays"]) == sorted(
            "objects/" + name for name in ["README", "zz", "ab/short", "ab/" + "A" * 62, "ab/new\nline"]
        )
        assert all((objects / name).exists() for name in strays)

    def test_tells_of_leftovers_and_leaves_them(self, project: Project) -> None:
        (project.cache / "tmp").mkdir(exist_ok=True)
        half = project.cache / "tmp" / "123-half"
        half.write_text("x")
        assert verify(project)["leftovers"] == ["tmp/123-half"]
        assert half.exists()


def test_a_family_in_a_folder_of_its_own(tmp_path: Path) -> None:
    project = training(tmp_path)
    project.repro()
    project.commit("run")
    model = (project.path / "models/0.txt").read_bytes()
    spoil(object_of(project, model))
    (loss,) = verify(project, code=5)["damaged"]
    assert {need["step"] for need in loss["needs"]} >= {"train@fold=0"}
    assert "gitml repro train@fold=0" in {need["remedy"] for need in loss["needs"]}


def tree_of(root: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(root)): (path.stat().st_ino, path.read_bytes())
        for path in root.rglob("*")
        if path.is_file()
    }
