"""What `repro` prints: lines for people, JSON for programs, and the exit code."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.functional.command import GITML, Project, new_project

TWO = """
[step.good]
run = "echo from good; echo 1 > good"
outputs = ["good"]
[step.bad]
run = "echo from bad; exit 7"
inputs = ["good"]
outputs = ["bad"]
"""


def on_a_terminal(project: Project, *args: str, **environ: str) -> str:
    """Run `gitml` with a terminal for its output."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [GITML, *args],
        cwd=project.path,
        env={**project.environ, "TERM": "xterm-256color", **environ},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux says EIO when the last writer is gone
            break
        if not part:
            break
        shown += part
    os.close(ours)
    process.wait(timeout=30)
    return shown.decode()


def test_the_only_running_step_is_heard_to_its_last_word(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "echo first; sleep 0.2; echo last; printf unended"\noutputs = []\n'
    called = new_project(tmp_path, manifest).gitml("repro")
    assert called.stderr.replace("\n", " ") == "first last unended"


def test_a_short_step_is_heard_too(tmp_path: Path) -> None:
    assert new_project(tmp_path, '[step.a]\nrun = "echo hello"\n').gitml("repro").stderr == "hello\n"


def test_secrets_are_masked_in_what_is_heard(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "printf \'token is %s\' $TOKEN; sleep 0.2; printf ..$TOKEN"\nsecrets = ["TOKEN"]\n'
    called = new_project(tmp_path, manifest).gitml("repro", environ={"TOKEN": "s3cr3t"})
    assert called.stderr == "token is ***..***"


def test_a_failure_is_not_told_twice(tmp_path: Path) -> None:
    called = new_project(tmp_path, '[step.a]\nrun = "echo hello; exit 1"\n').gitml("repro", code=1)
    assert called.stderr.count("hello") == 1


def test_lines_are_plain_without_a_terminal(tmp_path: Path) -> None:
    called = new_project(tmp_path, TWO).gitml("repro", code=1)
    assert "\x1b" not in called.stdout + called.stderr
    assert "\r" not in called.stdout + called.stderr
    assert called.stdout.splitlines()[0].startswith("✓ good  ran")
    assert "✗ bad failed exit 7" in [" ".join(line.split()) for line in called.stdout.splitlines()]


def test_a_terminal_gets_colour(tmp_path: Path) -> None:
    assert "\x1b[" in on_a_terminal(new_project(tmp_path, TWO), "repro")


def test_no_color_is_honoured_on_a_terminal(tmp_path: Path) -> None:
    shown = on_a_terminal(new_project(tmp_path, TWO), "repro", NO_COLOR="1")
    assert "\x1b[" not in shown
    assert "good" in shown


def test_an_ascii_terminal_gets_ascii(tmp_path: Path) -> None:
    project = new_project(tmp_path, '[step.good]\nrun = "true"\n')
    called = project.gitml("repro", environ={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"})
    assert called.stdout.isascii()


def test_quiet_says_nothing_of_success(tmp_path: Path) -> None:
    called = new_project(tmp_path, '[step.a]\nrun = "echo hello"\n').gitml("repro", "-q")
    assert (called.stdout, called.stderr) == ("", "")


def test_every_json_line_carries_its_schema(tmp_path: Path) -> None:
    called = new_project(tmp_path, TWO).gitml("repro", "--json", code=1)
    events = [json.loads(line) for line in called.stdout.splitlines()]
    assert {event["schema"] for event in events} == {"gitml-event/1"}
    assert [event["event"] for event in events] == ["began", "started", "settled", "started", "settled", "finished"]
    assert events[0]["steps"] == 2
    assert events[-1]["exit_code"] == 1
    assert events[1]["reasons"] == [{"kind": "never_run", "text": "never run"}]
    assert events[2]["run"]["outputs"]["good"]["mode"] == "file"
    assert called.stderr == ""


def test_names_from_a_clone_cannot_move_the_cursor(tmp_path: Path) -> None:
    project = new_project(tmp_path, '[step.a]\nrun = "true"\ninputs = ["\\u001b[2Jx"]\n')
    called = project.gitml("repro", code=1)
    assert "\x1b" not in called.stdout + called.stderr


def test_no_steps_is_no_error(tmp_path: Path) -> None:
    project = new_project(tmp_path, "")
    assert project.gitml("repro").code == 0
    assert "no steps" in project.gitml("status").stdout


LONG = """
[step.a]
run = "true"
[step.b]
run = "sleep 0.6"
[step.long]
run = "sh long.sh"
outputs = ["out"]
"""


def test_no_step_is_left_to_itself_when_the_reader_leaves(tmp_path: Path) -> None:
    script = "trap 'echo INT >> $RAN; exit 1' INT; echo start >> $RAN; echo partial > out; sleep 30 & wait\n"
    project = new_project(tmp_path, LONG, **{"long.sh": script})
    call = project.start("repro", "-j", "3")
    assert call.stdout is not None and call.stderr is not None
    assert call.stdout.readline()
    call.stdout.close()
    assert call.wait(timeout=20) == 1
    assert b"Traceback" not in call.stderr.read()
    call.stderr.close()
    assert project.calls() == ["start", "INT"]
    assert not project.exists("out")


@pytest.mark.parametrize("command", ["status", "repro", "repro -f", "nonsense"])
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&-"])
def test_closed_streams_are_no_trouble(command: str, closed: str, tmp_path: Path) -> None:
    project = new_project(tmp_path, TWO.replace("exit 7", "echo 1 > bad"))
    line = f"{GITML} {command} {closed}"
    done = subprocess.run(line, shell=True, cwd=project.path, env=project.environ, capture_output=True, check=False)
    assert done.returncode == (2 if command == "nonsense" else 0), done
    assert b"Traceback" not in done.stdout + done.stderr
    assert project.repro().code == 0


def test_a_full_device_is_told(tmp_path: Path) -> None:
    project = new_project(tmp_path, TWO)
    done = subprocess.run(
        f"{GITML} status > /dev/full",
        shell=True,
        cwd=project.path,
        env=project.environ,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: No space left on device\nhint: make room on the disk")
