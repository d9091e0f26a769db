"""One measured process: wall time and peak memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes on macOS, KiB on Linux


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """What one process took: seconds of wall time, bytes at the peak of its largest process, how it ended.

    Linux hands the memory of the process that forks on to the child's figure, so none is below this process's own
    (some 20 MB). `timed_out`: it was killed at the limit.
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

    Standard output is dropped; the last line of standard error is kept in `words`. `started` is told the process id.
    """
    with tempfile.TemporaryFile() as stderr:
        begun = time.perf_counter()
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )
        killed = threading.Event()
        timer = threading.Timer(limit, _kill, (process.pid, killed))
        timer.start()
        if started is not None:
            started(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)  # we waited, not Popen
        stderr.seek(0)
        lines = stderr.read().decode(errors="replace").strip().splitlines()
    return Sample(
        seconds=seconds,
        peak=usage.ru_maxrss * _MAXRSS_UNIT,
        exit_status=process.returncode,
        timed_out=killed.is_set(),
        words=lines[-1] if lines else "",
    )


def _kill(pid: int, killed: threading.Event) -> None:
    killed.set()
    os.killpg(pid, signal.SIGKILL)
