"""What a hostile clone, an odd name or a full disk meets: one clear error that names the path, and nothing raw."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.functional.command import GITML, Project, new_project

ONE = '[step.a]\nrun = "cat x > out"\ninputs = ["x"]\noutputs = ["out"]\n'
LOCK = ".gitml/lock/a.json"


@pytest.fixture
def one(tmp_path: Path) -> Project:
    project = new_project(tmp_path, ONE, x="first")
    project.repro()
    return project


def on_a_terminal(project: Project, *args: str) -> str:
    """Call gitml with a terminal as stdout and stderr, and give all that it wrote there."""
    ours, theirs = pty.openpty()
    environ = {**project.environ, "TERM": "xterm", "COLUMNS": "60"}
    process = subprocess.Popen([GITML, *args], cwd=project.path, env=environ, stdout=theirs, stderr=theirs)
    os.close(theirs)
    written = bytearray()
    try:
        while part := os.read(ours, 4096):
            written += part
    except OSError:
        pass  # the terminal of a process that has ended is an error, not an end of file
    os.close(ours)
    assert process.wait() == 0
    return written.decode()


@pytest.mark.parametrize("kind", ["folder", "pipe", "link", "link to a lock"])
def test_a_lock_that_is_no_file_is_named_and_does_not_hang(one: Project, tmp_path: Path, kind: str) -> None:
    lock = one.path / LOCK
    elsewhere = shutil.move(lock, tmp_path / "elsewhere.json")
    if kind == "folder":
        lock.mkdir()
    elif kind == "pipe":
        os.mkfifo(lock)
    else:
        lock.symlink_to(elsewhere if kind == "link to a lock" else lock.name)
    called = one.gitml("status", code=2)
    assert called.stderr.startswith(
        f"error: {LOCK}: {'a lock may not be a symlink' if 'link' in kind else 'not a file'}\n"
    )
    assert "hint: " in called.stderr


def test_what_the_system_refuses_is_said_with_the_path_and_without_a_number(one: Project) -> None:
    one.write("x", "second")
    objects = one.machine / "cache" / "objects"
    shutil.rmtree(objects)
    objects.write_text("")
    failed = one.repro(code=1).settled("a")["text"]
    assert failed.startswith(f"failed  {objects}") and failed.endswith(": Not a directory")


def test_the_way_back_to_what_was_changed_by_hand_can_be_pasted(tmp_path: Path) -> None:
    project = new_project(tmp_path, '[step.a]\nrun = "echo 1 > \'a b\'"\noutputs = ["a b"]\n')
    project.repro()
    project.write("a b", "by hand")
    (note,) = project.repro().settled("a")["notes"]
    subprocess.run(["sh", "-c", note.partition("it is kept: ")[2]], cwd=project.path, check=True)
    assert (project.path / "a b").read_text() == "by hand"


def test_names_of_a_clone_cannot_steer_the_terminal(tmp_path: Path) -> None:
    output = "\x1b]0;pwn\x07"
    project = new_project(tmp_path, '[step.a]\nrun = "true"\noutputs = ["\\u001b]0;pwn\\u0007"]\n')
    called = project.gitml("repro", code=1)
    assert "\x1b" not in called.stdout + called.stderr
    assert "\\x1b]0;pwn\\x07 was not written" in called.stdout
    project.write("gitml.toml", "[step.\u202eevil]\nrun = 'true'\n")
    called = project.gitml("status", code=2)
    assert "\u202e" not in called.stderr and "\\u202e" in called.stderr
    assert not (project.path / output).exists()


def test_on_a_terminal_each_result_has_a_line_of_its_own(one: Project) -> None:
    one.write("x", "second")
    written = on_a_terminal(one, "repro")
    before = written[: written.index("a  ran")]
    assert before[before.rindex("\x1b[2K") + 4 :].replace("\x1b[32m", "").replace("\x1b[0m", "") == "✓ "


def test_status_says_of_a_conflicted_lock_what_is_wrong(one: Project) -> None:
    lock = one.path / LOCK
    lock.write_text(f"<<<<<<< ours\n{lock.read_text()}=======\n>>>>>>> theirs\n")
    status = one.gitml("status").stdout
    assert "conflict markers" in status and "never run" not in status


def test_a_folder_in_the_place_of_an_object_is_made_good(tmp_path: Path) -> None:
    project = new_project(tmp_path, '[step.a]\nrun = \'echo a >> "$RAN"; echo data > out\'\noutputs = ["out"]\n')
    project.repro()
    (stored,) = [p for p in (project.cache / "objects").glob("*/*") if p.read_bytes() == b"data\n"]
    stored.unlink()
    stored.mkdir()
    (project.path / "out").unlink()
    assert project.repro().ran == ["a"]
    assert stored.read_bytes() == b"data\n"
    assert project.repro().ran == []


def test_folders_nested_beyond_reason_are_one_error(tmp_path: Path) -> None:
    deep = "out/" + "/".join(["d"] * 600)
    project = new_project(tmp_path, f'[step.a]\nrun = "mkdir -p {deep}"\noutputs = ["out"]\n')
    called = project.gitml("repro", code=1)
    assert "folders are nested deeper than 300" in called.stdout
