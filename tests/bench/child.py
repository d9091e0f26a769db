"""One measured process: wall time and peak memory."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_LAUNCHER = str(Path(__file__).with_name("launcher.py"))
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes on macOS, KiB on Linux


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """What one process took: seconds of wall time, bytes at the peak of its largest process, how it ended.

    Linux hands the memory of the process that starts another on to the other's figure, so none is below that of the
    launcher (some 10 MB). `timed_out`: it was killed at the limit.
    """

    seconds: float
    peak: int
    exit_status: int
    timed_out: bool = False
    words: str = ""


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    environ: Mapping[str, str],
    limit: float,
    started: Callable[[int], None] | None = None,
) -> Sample:
    """Run a command to its end, or kill its whole process group after `limit` seconds.

    Standard output is dropped; the last line of standard error is kept in `words`. `started` is told the id of the
    launcher, whose only child the command is.
    """
    read, write = os.pipe()
    with tempfile.TemporaryFile() as stderr, open(read, "rb") as report:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", _LAUNCHER, str(write), *argv],
            cwd=cwd,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            pass_fds=[write],
            start_new_session=True,
        )
        os.close(write)
        killed = threading.Event()
        timer = threading.Timer(limit, _kill, (process.pid, killed))
        timer.start()
        if started is not None:
            started(process.pid)
        found = report.read().split()
        process.wait()
        timer.cancel()
        stderr.seek(0)
        lines = stderr.read().decode(errors="replace").strip().splitlines()
    words = lines[-1] if lines else ""
    if not found:  # the launcher was killed too, or could not start the command
        return Sample(seconds=limit, peak=0, exit_status=process.returncode, timed_out=killed.is_set(), words=words)
    return Sample(
        seconds=float(found[0]),
        peak=int(found[1]) * _MAXRSS_UNIT,
        exit_status=os.waitstatus_to_exitcode(int(found[2])),
        words=words,
    )


def _kill(pid: int, killed: threading.Event) -> None:
    killed.set()
    with contextlib.suppress(ProcessLookupError):  # it ended just now
        os.killpg(pid, signal.SIGKILL)
