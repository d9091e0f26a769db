"""Collectors beside writers: whatever they do at once, every recorded result can be had afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gitml.model.digest import Digest
from gitml.project.gc import gc as collect
from gitml.project.place import find_place
from gitml.project.project import Project as Opened
from gitml.project.project import open_project
from gitml.store.keep import Policy
from gitml.store.objects import ObjectStore
from tests.functional.command import Called, Project, finish, new_project

ROUNDS = 60 if os.environ.get("GITML_FULL") == "1" else 8
PIPELINE = """
[step.make]
run = "sh make.sh"
inputs = ["x"]
outputs = ["out", "folder"]
"""
MAKE = "mkdir -p folder; cat x > out; for i in $(seq 80); do echo $(cat x) $i > folder/$i; done; echo made $(cat x)\n"


def project_at(folder: Path) -> Project:
    return new_project(folder, PIPELINE, x="first", **{"make.sh": MAKE})


class Collectors:
    """Calls `gitml gc --grace 0` again and again in other processes while it is used as a context."""

    def __init__(self, project: Project, number: int = 1) -> None:
        self._project = project
        self._going = True
        self._threads = [threading.Thread(target=self._loop) for _ in range(number)]
        self.ended: list[Called] = []

    def __enter__(self) -> Collectors:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._going = False
        for thread in self._threads:
            thread.join()

    def _loop(self) -> None:
        while self._going:
            process = self._project.start("gc", "--grace", "0")
            self.ended.append(finish(process, code=None))

    def check(self) -> None:
        """They all came to a good end, and some had something to delete."""
        assert [called for called in self.ended if called.code != 0] == []
        assert any("freed" in called.stdout for called in self.ended)


def made(text: str) -> dict[str, str]:
    return {"out": text, **{f"folder/{i}": f"{text} {i}\n" for i in range(1, 81)}}


def restored(project: Project) -> dict[str, str]:
    """Bring the recorded outputs back from the cache alone, and read them."""
    shutil.rmtree(project.path / "folder", ignore_errors=True)
    (project.path / "out").unlink(missing_ok=True)
    called = project.repro()
    assert called.restored == ["make"], called
    found = {f"folder/{path.name}": path.read_text() for path in (project.path / "folder").iterdir()}
    return {"out": project.read("out"), **found}


@pytest.mark.parametrize("collectors", [1, 2])
def test_results_of_repro_stay_whole(tmp_path: Path, collectors: int) -> None:
    """Also results that were made before, whose objects are found, dead and not yet deleted, by their next writer."""
    project = project_at(tmp_path)
    with Collectors(project, collectors) as running:
        for number in range(ROUNDS):
            text = f"text {number % 3}"
            project.write("x", text)
            project.gitml("repro")
            assert restored(project) == made(text)
    running.check()


def test_added_sources_stay_whole(tmp_path: Path) -> None:
    project = project_at(tmp_path)
    source = project.path / "data"
    with Collectors(project) as running:
        for number in range(ROUNDS):
            shutil.rmtree(source, ignore_errors=True)
            for member in range(100):
                project.write(f"data/{member % 7}/{member}", f"{number % 3} {member}")
            project.gitml("add", "data")
            shutil.rmtree(source)
            project.gitml("checkout")
            texts = {path.name: path.read_text() for path in source.rglob("*") if path.is_file()}
            assert texts == {str(member): f"{number % 3} {member}" for member in range(100)}
    running.check()


def test_branches_stay_whole_while_git_moves_them(tmp_path: Path) -> None:
    """Locks go from the worktree to the stash, to the index, to commits and back, with no lease to tell of it."""
    project = project_at(tmp_path)
    git = project.repo.git
    with Collectors(project) as running:
        for number in range(ROUNDS):
            text = f"text {number}"
            project.write("x", text)
            project.gitml("repro")
            git("add", "-A")
            git("stash", "-q")
            git("stash", "pop", "-q", "--index")
            git("commit", "-qm", text, *(["--amend"] if number else []))
            git("branch", "-m", f"b{number}")
            git("checkout", "-q", "--detach")
            assert restored(project) == made(text)
            git("checkout", "-q", "-b", f"next{number}", "HEAD~1")
            git("branch", "-f", "kept", f"b{number}")
            git("branch", "-D", f"b{number}")
            git("checkout", "-q", "-f", "kept")
            git("branch", "-D", f"next{number}")
            assert restored(project) == made(text)
    running.check()


def test_two_worktrees_and_a_collector_in_each(tmp_path: Path) -> None:
    project = project_at(tmp_path)
    linked = project.worktree(tmp_path / "linked")
    with Collectors(project) as running, Collectors(linked):
        for number in range(ROUNDS):
            calls = []
            for one, text in ((project, f"a {number % 2}"), (linked, f"b {number % 2}")):
                one.write("x", text)
                calls.append(one.start("repro"))
            for call in calls:
                finish(call)
            assert restored(project) == made(f"a {number % 2}")
            assert restored(linked) == made(f"b {number % 2}")
    running.check()


# Each of these puts a writer at one exact moment of a collector.


class Moment:
    """Runs something once, when the collector takes the lease for the n-th time (1: before it marks)."""

    def __init__(self, opened: Opened, number: int, act: Callable[[], object]) -> None:
        self._lease = opened.store.lease
        self._number = number
        self._act = act
        self.taken = 0

    def collecting(self, *, patience: float) -> object:
        self.taken += 1
        if self.taken == self._number:
            self._act()
        return self._lease.collecting(patience=patience)


def opened(project: Project) -> Opened:
    return open_project(find_place(str(project.path), project.environ), project.environ)


@pytest.mark.parametrize("ending", ["calmly", "killed"])
def test_a_writer_between_mark_and_deletion_is_seen(tmp_path: Path, ending: str) -> None:
    """It finds a dead object present, names it, and ends, or is killed right after: the object stays."""
    project = project_at(tmp_path)
    store = ObjectStore(str(project.cache))
    dead = store.add_bytes(b"found present")

    def write() -> None:
        script = f"""
import os, signal
from gitml.store.lease import Lease
from gitml.store.objects import ObjectStore
root = {str(project.cache)!r}
with Lease(root).writing():
    assert ObjectStore(root).has({str(dead)!r} and __import__("gitml.model.digest").model.digest.Digest({str(dead)!r}))
    os.makedirs(".gitml/lock", exist_ok=True)
    open(".gitml/lock/a.json", "w").write({str(dead)!r})
    if {ending == "killed"}:
        os.kill(os.getpid(), signal.SIGKILL)
"""
        done = subprocess.run(
            ["python", "-c", script], cwd=project.path, env=project.environ, capture_output=True, check=False
        )
        assert done.returncode == (-9 if ending == "killed" else 0), done.stderr

    one = opened(project)
    moment = Moment(one, 2, write)
    collector = one._replace(store=one.store._replace(lease=moment))  # type: ignore[arg-type]
    assert collect(collector, Policy(now=time.time(), grace=0), dry_run=False).total.objects == 0
    assert store.has(Digest(dead))
    one.close()


def test_a_collector_waits_for_a_writer_that_is_at_it(tmp_path: Path) -> None:
    project = project_at(tmp_path)
    dead = ObjectStore(str(project.cache)).add_bytes(b"dead")
    one = opened(project)
    with one.store.lease.writing():
        process = project.start("gc", "--grace", "0")
        time.sleep(1.0)
        assert process.poll() is None
        assert one.store.objects.has(dead)
    finish(process)
    assert not one.store.objects.has(dead)
    one.close()


def test_it_comes_to_an_end_however_often_others_write(tmp_path: Path) -> None:
    project = project_at(tmp_path)
    store = ObjectStore(str(project.cache))
    dead = [store.add_bytes(b"%d" % number) for number in range(300)]
    one = opened(project)

    class Busy(Moment):
        def collecting(self, *, patience: float) -> object:
            with one.store.lease.writing():
                pass
            return super().collecting(patience=patience)

    busy = Busy(one, 0, lambda: None)
    collector = one._replace(store=one.store._replace(lease=busy))  # type: ignore[arg-type]
    assert collect(collector, Policy(now=time.time(), grace=0), dry_run=False).total.objects == 300
    assert not any(store.has(digest) for digest in dead)
    assert busy.taken < 10
    one.close()
