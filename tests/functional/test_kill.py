"""A kill, a broken disk, a full disk at every change of the file system: the next run works and nothing is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.functional.command import GITML, Project, listing, new_project
from tests.functional.killing import Ended, FaultServer

FULL = os.environ.get("GITML_FULL") == "1"
"""Strike at every change; otherwise at every few, at other ones for each scenario and fault."""
STRIDE = {"kill": 8, "EIO": 17, "ENOSPC": 17}

PIPELINE = """
[step.make]
run = "sh make.sh"
inputs = ["x"]
outputs = ["out", "folder"]
metrics = ["m.json"]
[step.use]
run = "cat out folder/sub/f > used"
inputs = ["out", "folder/sub/f"]
outputs = ["used"]
"""
MAKE = """mkdir -p folder/sub; cat x > out; cat x > folder/sub/f; ln -s sub/f folder/link; echo '{"a": 1}' > m.json
echo said it
"""
PRECIOUS = "precious work of a person"


@dataclass(frozen=True, slots=True)
class Scenario:
    """What was done before the run that is struck, and a text that must not get lost."""

    name: str
    prepare: Callable[[Project], None]
    precious: str | None = None


def nothing(project: Project) -> None:
    """The first run of all."""


def built_and_changed(project: Project) -> None:
    project.gitml("repro")
    project.write("x", "second")


def built_and_cleaned(project: Project) -> None:
    project.gitml("repro")
    shutil.rmtree(project.path / "folder")
    (project.path / "out").unlink()
    (project.path / "used").unlink()


def edited_and_restored(project: Project) -> None:
    project.gitml("repro")
    project.write("folder/sub/f", PRECIOUS)


def edited_and_changed(project: Project) -> None:
    built_and_changed(project)
    project.write("folder/sub/f", PRECIOUS)
    project.write("used", PRECIOUS)


def built_and_failing(project: Project) -> None:
    """The struck run fails by itself, too: its step goes wrong after it wrote something."""
    project.gitml("repro")
    project.write("x", "second")
    project.write("fail-once", "")


SCENARIOS = [
    Scenario("first run", nothing),
    Scenario("again", built_and_changed),
    Scenario("restore", built_and_cleaned),
    Scenario("rescue on restore", edited_and_restored, PRECIOUS),
    Scenario("rescue on execute", edited_and_changed, PRECIOUS),
    Scenario("failing", built_and_failing),
]
FAILING_MAKE = MAKE + "if [ -e fail-once ]; then rm fail-once; exit 1; fi\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultServer]:
    with FaultServer(tmp_path_factory.mktemp("faults")) as running:
        yield running


class Stage:
    """A prepared project that is copied for each strike, and what an undisturbed run makes of it."""

    def __init__(self, folder: Path, scenario: Scenario, server: FaultServer) -> None:
        self._folder = folder
        self._server = server
        self._scenario = scenario
        self.project = new_project(folder / "template", PIPELINE, x="first", **{"make.sh": FAILING_MAKE})
        scenario.prepare(self.project)
        self._template = folder / "template" / "project"
        calm = self.copy()
        first = self.run(calm)
        assert first.code == (1 if scenario.prepare is built_and_failing else 0), first.shown
        self.changes = first.changes
        assert self.changes > 20, "the faults are not in the way of the engine"
        assert self.run(calm).code == 0
        self.expected = in_worktree(calm)
        assert self.precious_is_kept(calm)

    def strike(self, fault: str, at: int) -> None:
        """Run with a fault, then without; what comes out must be what an undisturbed run makes."""
        project = self.copy()
        struck = self.run(project, fault, at)
        where = f"{fault} at change {at} of {self.changes}: exit {struck.code}\n{struck.shown}"
        assert "Traceback" not in struck.shown, where
        if fault != "kill":
            assert struck.code in (0, 1), where
            wrong = os.strerror(5 if fault == "EIO" else 28)
            assert struck.code == 0 or wrong in struck.shown or self._scenario.prepare is built_and_failing, where
        self.recovers(project, where)

    def recovers(self, project: Path, where: str) -> None:
        """Run without a fault: the end must be that of an undisturbed run."""
        after = self.run(project)
        if after.code == 1 and self._scenario.prepare is built_and_failing:
            after = self.run(project)  # the step's own failure came only now
        where += f"\nthen: exit {after.code}\n{after.shown}"
        assert after.code == 0, where
        assert in_worktree(project) == self.expected, where
        assert self.precious_is_kept(project), where
        machine = project / ".git" / "gitml"
        assert list(machine.glob("inflight/*")) == list(machine.glob("aside/*")) == [], where
        again = self.run(project)
        assert "ran" not in again.shown.split(), where

    def run(self, project: Path, fault: str = "none", at: int = 0) -> Ended:
        return self._server.run(project, "repro", "-j", "1", environ=self.project.environ, fault=fault, at=at)

    def precious_is_kept(self, project: Path) -> bool:
        precious = self._scenario.precious
        if precious is None:
            return True
        wanted = 2 if self._scenario.prepare is edited_and_changed else 1
        rescued = [p for p in (project / ".git/gitml/rescued").rglob("*") if p.is_file() and not p.is_symlink()]
        return sum(p.read_text() == precious for p in rescued) >= wanted

    def copy(self) -> Path:
        target = self._folder / "copy" / "project"
        shutil.rmtree(target.parent, ignore_errors=True)
        target.parent.mkdir(parents=True)
        subprocess.run(["cp", "-a", str(self._template), str(target)], check=True)
        return target


def in_worktree(project: Path) -> dict[str, tuple[int, bytes]]:
    return listing(project, without=(".git/", "fail-once"))


@pytest.mark.parametrize("fault", ["kill", "EIO", "ENOSPC"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_the_next_run_works_after(scenario: Scenario, fault: str, tmp_path: Path, server: FaultServer) -> None:
    stage = Stage(tmp_path, scenario, server)
    stride = 1 if FULL else STRIDE[fault]
    offset = 1 if FULL else 1 + SCENARIOS.index(scenario) % stride
    for at in range(offset, stage.changes + 1, stride):
        stage.strike(fault, at)


SYSCALLS = {"rename": 12, "renameat": 12, "renameat2": 1, "unlink": 10, "unlinkat": 10, "mkdir": 12, "mkdirat": 12}
"""System calls that change names, and how many of each are struck at most."""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("syscall", SYSCALLS)
def test_the_next_run_works_after_a_kill_in_a_system_call(syscall: str, tmp_path: Path, server: FaultServer) -> None:
    """The same from outside: the kernel ends the whole process, with what SQLite and the C library do in it."""
    stage = Stage(tmp_path, SCENARIOS[4], server)
    stride = 1 if FULL else 6
    for when in range(1, 1 + SYSCALLS[syscall] * (5 if FULL else 1), stride):
        project = stage.copy()
        inject = f"inject={syscall}:signal=SIGKILL:when={when}"
        command = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={syscall}", "-e", inject, GITML, "repro", "-j", "1"]
        struck = subprocess.run(command, cwd=project, env=stage.project.environ, capture_output=True, check=False)
        stage.recovers(project, f"SIGKILL in {syscall} number {when}: exit {struck.returncode}")
        if struck.returncode == 0:
            break  # there are no more of them
