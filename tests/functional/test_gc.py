from __future__ import annotations

import json
import os
import random
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gitml.model.digest import Digest
from gitml.store.checkout import members
from gitml.store.objects import ObjectStore
from gitml.store.packset import PackSet
from tests.functional.command import Project, new_project
from tests.functional.killing import FaultServer

PIPELINE = """
[step.make]
run = "sh make.sh"
inputs = ["x"]
outputs = ["out", "folder"]
"""
MAKE = "mkdir -p folder/sub; cat x > out; echo $(cat x) in > folder/sub/f; echo same > folder/g; echo made $(cat x)\n"
OLD = time.time() - 30 * 86400


def project_at(folder: Path, **more: str) -> Project:
    return new_project(folder, PIPELINE, x="first", **{"make.sh": MAKE}, **more)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return project_at(tmp_path)


def gc(project: Project, *args: str, code: int = 0) -> dict[str, Any]:
    called = project.gitml("gc", "--json", *args, code=code)
    found: dict[str, Any] = json.loads(called.stdout)
    assert found["schema"] == "gitml-gc/1"
    return found


def build(project: Project, text: str) -> None:
    """Make outputs from a text that stands in all of them."""
    project.write("x", text)
    project.gitml("repro")


def objects(cache: Path) -> set[str]:
    """Name all objects, loose and packed."""
    loose = {path.parent.name + path.name for path in (cache / "objects").glob("*/*")}
    return loose | {raw.hex() for pack in PackSet(str(cache)).packs() for raw, _, _ in pack.entries()}


def can_be_restored(project: Project, text: str) -> bool:
    """Tell whether the recorded outputs come back from the cache alone, with no step run; they hold the text."""
    shutil.rmtree(project.path / "folder", ignore_errors=True)
    (project.path / "out").unlink(missing_ok=True)
    called = project.repro(code=None)
    return (
        called.code == 0
        and called.restored == ["make"]
        and project.read("out") == text
        and project.read("folder/sub/f") == f"{text} in\n"
    )


def age(project: Project) -> None:
    """Let all records and objects look a month old."""
    for path in project.cache.rglob("*"):
        if path.is_file():
            os.utime(path, (OLD, OLD))
    for path in (project.cache / "runs").rglob("*.json"):
        path.write_text(re.sub(r'"started":[0-9.e+]+', f'"started":{OLD}', path.read_text()))
        os.utime(path, (OLD, OLD))


def test_what_nothing_names_is_deleted_after_the_grace_period(project: Project) -> None:
    build(project, "first")
    build(project, "second")
    before = objects(project.cache)
    assert gc(project)["objects"] == 0
    age(project)
    told = gc(project, "-n")
    assert told["dry_run"] is True
    assert objects(project.cache) == before
    done = gc(project)
    assert {**told, "dry_run": False} == done
    assert [(row["step"], row["runs"], row["objects"]) for row in done["steps"]] == [("make", 1, 5)]
    assert len(objects(project.cache)) == len(before) - 5  # out, folder, folder/sub, folder/sub/f and the log
    assert can_be_restored(project, "second")


def test_it_prints_a_row_for_each_step_and_a_sum(project: Project) -> None:
    build(project, "first")
    build(project, "second")
    told = project.gitml("gc", "-n", "--grace", "0").stdout
    assert re.fullmatch(r"make  1 run  \d+ objects  \d+ B\nwould free \d+ B: 1 run, \d+ objects\n", told)
    assert project.gitml("gc", "--grace", "0").stdout == told.replace("would free", "freed")
    assert project.gitml("gc", "--grace", "0").stdout == "nothing to free\n"


@pytest.mark.parametrize("keeper", ["branch", "tag", "annotated", "remote", "stash", "old stash", "detached", "index"])
def test_what_a_ref_or_the_index_names_is_kept(project: Project, keeper: str) -> None:
    build(project, "kept")
    git = project.repo.git
    if keeper in ("stash", "old stash"):
        git("add", ".gitml", "x")
        git("stash")
        if keeper == "old stash":
            project.write("make.sh", MAKE + "#\n")
            git("stash")
    elif keeper == "index":
        git("add", ".gitml")
        lock = project.read(".gitml/lock/make.json")
    else:
        project.commit("kept")
        if keeper == "detached":
            git("checkout", "-q", "--detach")
            git("branch", "-D", "main")
        else:
            command = {
                "branch": ("branch", "other"),
                "tag": ("tag", "light"),
                "annotated": ("tag", "-a", "-m", "x", "t"),
            }.get(keeper, ("update-ref", "refs/remotes/origin/x", "HEAD"))
            git(*command)
            git("reset", "-q", "--hard", "HEAD~1")
    if keeper != "detached":
        build(project, "other")
        age(project)
    gc(project, "--grace", "0")
    if keeper in ("stash", "old stash"):
        git("checkout", "-q", "-f", "stash@{0}" if keeper == "stash" else "stash@{1}")
    elif keeper == "index":
        project.write(".gitml/lock/make.json", lock)
        project.write("x", "kept")
    elif keeper != "detached":
        ref = {"branch": "other", "tag": "light", "annotated": "t"}.get(keeper, "origin/x")
        git("checkout", "-q", "-f", ref)
    assert can_be_restored(project, "kept")


def test_what_an_uncommitted_lock_of_any_worktree_names_is_kept(project: Project, tmp_path: Path) -> None:
    linked = project.worktree(tmp_path / "linked")
    build(linked, "linked")
    build(project, "main")
    gc(project, "--grace", "0")
    assert can_be_restored(linked, "linked")
    gc(linked, "--grace", "0")
    assert can_be_restored(project, "main")


def test_a_worktree_that_is_gone_stops_everything_until_it_is_pruned(project: Project, tmp_path: Path) -> None:
    linked = project.worktree(tmp_path / "linked")
    build(linked, "linked")
    shutil.rmtree(linked.path)
    before = objects(project.cache)
    called = project.gitml("gc", "--grace", "0", code=1)
    assert "worktree prune" in called.stderr
    assert objects(project.cache) == before
    project.repo.git("worktree", "prune")
    assert gc(project, "--grace", "0")["objects"] == len(before)
    assert objects(project.cache) == set()


def test_a_broken_ref_stops_everything(project: Project) -> None:
    build(project, "first")
    (project.path / ".git/refs/heads/broken").write_text("garbage\n")
    before = objects(project.cache)
    project.gitml("gc", "--grace", "0", code=1)
    assert objects(project.cache) == before


def test_projects_in_folders_are_kept_committed_or_not(project: Project) -> None:
    for folder in ("a", "b/c"):
        project.write(f"{folder}/gitml.toml", PIPELINE)
        project.write(f"{folder}/make.sh", MAKE)
        project.write(f"{folder}/x", folder)
        project.gitml("repro", cwd=folder)
    project.repo.git("add", "a")
    project.repo.git("commit", "-qm", "a")
    gc(project, "--grace", "0")
    for folder in ("a", "b/c"):
        (project.path / folder / "out").unlink()
        assert "restored" in project.gitml("repro", cwd=folder).stdout
        assert project.read(f"{folder}/out") == folder


def test_added_sources_are_kept_and_their_former_versions_are_not(project: Project) -> None:
    project.write("data/raw/a", "one")
    project.write("data/raw/b", "two")
    project.gitml("add", "data/raw")
    first = objects(project.cache)
    project.write("data/raw/a", "three")
    project.gitml("add", "data/raw")
    second = objects(project.cache) - first
    gc(project, "--grace", "0")
    left = objects(project.cache)
    assert second <= left
    assert len(left) == 3  # the folder, `two`, `three`
    shutil.rmtree(project.path / "data/raw")
    project.gitml("checkout")
    assert (project.read("data/raw/a"), project.read("data/raw/b")) == ("three", "two")


def test_a_lock_that_cannot_be_read_still_keeps_what_it_names(project: Project) -> None:
    build(project, "kept")
    path = project.path / ".gitml/lock/make.json"
    whole = path.read_text()
    path.write_text("<<<<<<< ours\n" + whole.replace('"format": 1', '"format": 99') + ">>>>>>>\n")
    gc(project, "--grace", "0")
    path.write_text(whole)
    assert can_be_restored(project, "kept")


def test_the_last_good_runs_are_kept_when_asked(project: Project) -> None:
    for text in ("first", "second", "third"):
        build(project, text)
    project.write("make.sh", "exit 3")
    project.gitml("repro", code=1)
    project.write("make.sh", MAKE)
    assert gc(project, "-n", "--grace", "0", "--keep-last", "3")["runs"] == 1
    gc(project, "--grace", "0", "--keep-last", "2")
    project.write("x", "second")
    assert project.repro().restored == ["make"]
    project.write("x", "first")
    assert project.repro().ran == ["make"]


def test_of_many_runs_of_one_key_the_recorded_one_is_kept(tmp_path: Path) -> None:
    project = new_project(tmp_path, '[step.a]\nrun = "date +%N > out"\noutputs = ["out"]\n')
    for _ in range(3):
        project.gitml("repro", "-f")
    last = project.read("out")
    assert gc(project, "--grace", "0")["runs"] == 2
    (project.path / "out").unlink()
    assert project.repro().restored == ["a"]
    assert project.read("out") == last


def test_a_run_whose_outputs_are_gone_gives_way_to_a_whole_one(tmp_path: Path) -> None:
    project = new_project(tmp_path, '[step.a]\nrun = "date +%N > out"\noutputs = ["out"]\n')
    project.gitml("repro")
    (next(iter((project.cache / "objects").glob("*/*")))).unlink()
    project.gitml("repro", "-f")
    found = gc(project)
    assert (found["runs"], found["kept_runs"]) == (1, 1)


def test_trees_of_inputs_stay_with_a_kept_run(tmp_path: Path) -> None:
    project = new_project(tmp_path, '[step.a]\nrun = "cat in/* > out"\ninputs = ["in"]\noutputs = ["out"]\n')
    project.write("in/a", "1")
    project.write("in/b", "1")
    project.gitml("repro")
    gc(project, "--grace", "0")
    project.write("in/b", "2")
    assert "~ b" in project.gitml("why", "a").stdout


def test_what_may_be_an_only_copy_is_no_garbage(project: Project) -> None:
    build(project, "first")
    young = project.cache / "tmp/young"
    young.write_text("1")
    edited = project.cache / "quarantine" / ("ab" * 32)
    edited.parent.mkdir()
    edited.write_text("precious")
    rescued = project.machine / "rescued/run/out"
    rescued.parent.mkdir(parents=True)
    rescued.write_text("precious")
    found = gc(project, "--grace", "0")
    assert found["leftovers"] == {"files": 0, "size": 0}
    assert young.exists() and edited.exists() and rescued.exists()


def test_snapshots_go_with_the_runs_that_name_them(project: Project) -> None:
    for text in ("first", "second"):
        project.write("make.sh", MAKE + f"# {text}\n")
        build(project, text)
        time.sleep(2.1)  # a snapshot is taken anew only after that
    assert len(project.repo.git("for-each-ref", "refs/gitml/snapshots").splitlines()) == 2
    assert gc(project)["snapshots"] == 0
    assert gc(project, "-n", "--grace", "0")["snapshots"] == 1
    assert gc(project, "--grace", "0")["snapshots"] == 1
    assert len(project.repo.git("for-each-ref", "refs/gitml/snapshots").splitlines()) == 1


def test_a_snapshot_keeps_its_locks_but_not_all_of_history(project: Project) -> None:
    """Each run was made from a dirty worktree, on top of the commit with the lock of the run before."""
    for number in range(4):
        project.write("make.sh", MAKE + f"# {number}\n")
        build(project, f"text {number}")
        project.commit(f"commit {number}")
        time.sleep(2.1)
    assert gc(project, "--grace", "0")["runs"] == 2
    project.repo.git("checkout", "-q", "HEAD~1")
    assert can_be_restored(project, "text 2")


def test_what_an_unfinished_execution_has_written_down_is_kept(project: Project) -> None:
    build(project, "first")
    digest = json.loads(project.read(".gitml/lock/make.json"))["outputs"]["out"]["digest"]
    (project.path / ".gitml/lock/make.json").unlink()
    journal = project.machine / "inflight/x.json"
    journal.parent.mkdir(exist_ok=True)
    journal.write_text(json.dumps({"moves": [["out", "aside", True, {"digest": digest}]]}))
    gc(project, "--grace", "0")
    assert objects(project.cache) == {digest.partition(":")[2]}


def test_a_damaged_tree_stops_everything_before_its_members_are_lost(project: Project) -> None:
    build(project, "first")
    tree = json.loads(project.read(".gitml/lock/make.json"))["outputs"]["folder"]["digest"].partition(":")[2]
    path = project.cache / "objects" / tree[:2] / tree[2:]
    data = path.read_bytes()
    path.chmod(0o644)
    for bad in (b"garbage", data[:-1], data[:60] + bytes([data[60] ^ 1]) + data[61:]):
        path.write_bytes(bad)
        before = objects(project.cache)
        assert "damaged" in project.gitml("gc", "--grace", "0", code=5).stderr
        assert objects(project.cache) == before
    path.write_bytes(data)
    gc(project, "--grace", "0")
    assert can_be_restored(project, "first")


def test_a_record_of_a_later_gitml_is_kept_with_what_it_names(project: Project) -> None:
    build(project, "first")
    before = objects(project.cache)
    (project.path / ".gitml/lock/make.json").unlink()
    (record,) = (project.cache / "runs").rglob("*.json")
    text = record.read_text()
    record.write_text(text.replace("gitml-run/1", "gitml-run/2"))
    assert gc(project, "--grace", "0")["objects"] == 0
    record.write_text(text[:100])
    found = gc(project)
    assert (found["runs"], found["objects"]) == (0, len(before))  # a cut record names nothing any more
    assert gc(project, "--grace", "0")["runs"] == 1
    assert not record.exists()


def test_files_that_are_no_objects_are_left_alone(project: Project) -> None:
    build(project, "first")
    shard = next(iter((project.cache / "objects").iterdir()))
    for name in ("README", "a" * 61, "A" * 62, "zz"):
        (shard / name).write_text("x")
    (project.cache / "objects/note").write_text("x")
    (project.cache / "objects/xyz").mkdir()
    (shard / ("b" * 62)).mkdir()
    before = objects(project.cache)
    gc(project, "--grace", "0")
    assert objects(project.cache) == before


def test_an_empty_cache_and_no_cache_are_fine(project: Project) -> None:
    assert gc(project)["objects"] == 0
    assert gc(project, "-n")["objects"] == 0


@pytest.mark.parametrize("wrong", ["", "14", "d", "-1d", "1y", "1.5h", "99999999999d"])
def test_a_period_without_a_unit_is_refused(project: Project, wrong: str) -> None:
    assert "is not a period" in project.gitml("gc", "--grace", wrong, code=2).stderr


# What is left, for random histories.

TEXTS = [f"text {number}" for number in range(6)]


class History:
    """Random changes by Git and gitml; what must be there is known from what each place was given."""

    def __init__(self, project: Project, seed: int) -> None:
        self.project = project
        self.choose = random.Random(seed)
        self.branches: dict[str, set[str]] = {"main": set()}

    def step(self, number: int) -> None:
        git = self.project.repo.git
        match self.choose.randrange(6):
            case 0 | 1:
                build(self.project, self.choose.choice(TEXTS))
            case 2:
                self.project.commit(f"commit {number}")
            case 3:
                self.project.commit(f"commit {number}")
                git("checkout", "-q", "-f", "-b", f"b{number}", self.choose.choice(self.heads()))
            case 4 if self.project.exists(".gitml/lock/make.json"):
                git("add", ".gitml")
                git("stash", "-q")
            case 5:
                git("tag", "-f", f"t{self.choose.randrange(3)}")

    def heads(self) -> list[str]:
        return self.project.repo.git("for-each-ref", "--format=%(refname)", "refs/heads", "refs/tags").splitlines()

    def needed(self) -> set[str]:
        """Read, with plain Git, the digests in all locks that any place has, and follow the folders."""
        git = self.project.repo.git
        tips = git("for-each-ref", "--format=%(objectname)").splitlines()
        stashes = git("reflog", "--format=%H", "refs/stash").splitlines() if "refs/stash" in git("show-ref") else []
        texts = [git("ls-files", "-s")]
        for tip in [*tips, *stashes, *(f"{stash}^2" for stash in stashes)]:
            files = git("ls-tree", "-r", "--name-only", tip).splitlines()
            texts += [git("show", f"{tip}:{file}") for file in files if file.startswith(".gitml/lock/")]
        if ".gitml/lock/make.json" in git("ls-files"):
            texts.append(git("show", ":.gitml/lock/make.json"))
        lock = self.project.path / ".gitml/lock/make.json"
        texts += [lock.read_text()] if lock.exists() else []
        digests = set(re.findall("blake3:([0-9a-f]{64})", "\n".join(texts)))
        return self.below(digests)

    def below(self, digests: set[str]) -> set[str]:
        store = ObjectStore(str(self.project.cache))
        found, waiting = set(), set(digests)
        while waiting:
            name = waiting.pop()
            found.add(name)
            digest = Digest(f"blake3:{name}")
            if store.has(digest) and store.read(digest).startswith(b"gitml-tree/1\n"):
                waiting |= {member.digest.hex for member in members(store, digest)} - found
        return found


@pytest.mark.parametrize("seed", range(6))
def test_exactly_what_is_needed_is_left(tmp_path: Path, seed: int) -> None:
    project = project_at(tmp_path)
    history = History(project, seed)
    for number in range(14):
        history.step(number)
    needed = history.needed()
    logs = {  # kept runs name them, and locks do not
        json.loads(path.read_text())["log"].partition(":")[2]
        for path in (project.cache / "runs").rglob("*.json")
        if set(re.findall(r'"digest":"blake3:([0-9a-f]{64})', path.read_text().partition('"outputs"')[2])) <= needed
    }
    before = objects(project.cache)
    gc(project, "--grace", "0")
    left = objects(project.cache)
    assert left == before & (needed | (logs & left))
    assert gc(project, "--grace", "0")["objects"] == 0
    for head in history.heads():
        project.repo.git("checkout", "-q", "-f", head)
        if project.exists(".gitml/lock/make.json"):
            text = project.read("x")
            assert can_be_restored(project, text)


# Faults.


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultServer]:
    with FaultServer(tmp_path_factory.mktemp("faults")) as running:
        yield running


@pytest.mark.parametrize("fault", ["kill", "EIO", "ENOSPC"])
def test_after_a_fault_nothing_needed_is_gone_and_the_next_call_works(
    tmp_path: Path, server: FaultServer, fault: str
) -> None:
    project = project_at(tmp_path)
    for text in ("first", "second", "third", "kept"):
        build(project, text)
        time.sleep(0.01)
    fill_packs(project)
    template = project.path.parent / "template"
    shutil.copytree(project.path, template, symlinks=True)
    calm = server.run(project.path, "gc", "--grace", "0", environ=project.environ)
    assert calm.code == 0, calm.shown
    assert calm.changes > 15, calm.changes
    left = objects(project.cache)
    for at in range(1, calm.changes + 1):
        shutil.rmtree(project.path)
        shutil.copytree(template, project.path, symlinks=True)
        struck = server.run(project.path, "gc", "--grace", "0", environ=project.environ, fault=fault, at=at)
        where = f"{fault} at change {at} of {calm.changes}: exit {struck.code}\n{struck.shown}"
        assert "Traceback" not in struck.shown, where
        assert struck.code in ((-9,) if fault == "kill" else (0, 1)), where
        assert objects(project.cache) >= left, where
        if at % 4 == 0:
            assert can_be_restored(project, "kept"), where
        after = server.run(project.path, "gc", "--grace", "0", environ=project.environ)
        assert after.code == 0, where + after.shown
        assert objects(project.cache) == left, where
    assert can_be_restored(project, "kept")


def fill_packs(project: Project) -> None:
    """Let the cache have a pack that is dead and one that is mostly dead."""
    store = ObjectStore(str(project.cache))
    with store.packing(loose_below=2) as packer:
        for number in range(5):
            packer.add_bytes(b"dead %d" % number)
    lock = json.loads(project.read(".gitml/lock/make.json"))
    digest = Digest(lock["outputs"]["out"]["digest"])
    loose = Path(store.path(digest))
    data = loose.read_bytes()
    loose.unlink()
    with store.packing(loose_below=2) as packer:
        packer.add_bytes(data)
        for number in range(5):
            packer.add_bytes(b"dead too %d" % number * 100)
    assert store.read(digest) == data


def test_packs_are_removed_when_dead_and_rewritten_when_mostly_dead(project: Project) -> None:
    build(project, "kept")
    fill_packs(project)
    assert gc(project, "--grace", "0")["objects"] == 10
    (pack,) = PackSet(str(project.cache)).packs()
    assert pack.count == 1
    assert can_be_restored(project, "kept")


def test_what_a_link_in_the_worktree_leads_to_is_kept(tmp_path: Path) -> None:
    """Under `cache.link = symlink` the cache has the only copy, also when the pointer is gone."""
    project = new_project(tmp_path, "")
    project.gitml("config", "cache.link", "symlink,copy")
    data, other = os.urandom(2 << 20), os.urandom(2 << 20)
    project.write("deep/data.bin", data)
    project.write("other.bin", other)
    project.gitml("add", "deep/data.bin", "other.bin")
    assert (project.path / "deep/data.bin").is_symlink()
    for path in (".gitml/sources/deep/data.bin.json", ".gitml/sources/other.bin.json"):
        (project.path / path).unlink()
    (project.path / "other.bin").unlink()
    project.gitml("gc", "--grace", "0")
    assert (project.path / "deep/data.bin").read_bytes() == data
    assert len(list((project.cache / "objects").glob("*/*"))) == 1
