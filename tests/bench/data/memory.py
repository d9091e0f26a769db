"""The memory of a command and of all processes that it starts, at its peak, in a run of its own that is not timed.

The figure is an upper bound. Every 10 ms the high-water marks (`VmHWM` of `/proc/PID/status`) of all processes that
then live are summed: marks that were reached at different moments are added up, and pages that forked processes share
are counted once for each. What lives and dies between two looks is seen only as `ru_maxrss`, the mark of the largest
process, below which the figure never is. Where there is no `/proc`, resident sizes stand for the marks.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from tests.bench.child import Sample, run

_PAUSE = 0.01  # seconds
_MARK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


def run_watched(argv: Sequence[str], *, cwd: Path, environ: Mapping[str, str], limit: float) -> tuple[Sample, int]:
    """Run a command as `run` does, and give the bytes at the peak of all its processes together."""
    watch = _Watch()
    try:
        sample = run(argv, cwd=cwd, environ=environ, limit=limit, started=watch.start)
    finally:
        peak = watch.stop()
    return sample, max(peak, sample.peak)


class _Watch:
    """Looks at the descendants of a launcher until it is stopped."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._peak = 0

    def start(self, pid: int) -> None:
        self._thread = threading.Thread(target=self._look, args=(psutil.Process(pid),))
        self._thread.start()

    def stop(self) -> int:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        return self._peak

    def _look(self, launcher: psutil.Process) -> None:
        while not self._over.wait(_PAUSE):
            with contextlib.suppress(psutil.NoSuchProcess):
                living = launcher.children(recursive=True)
                self._peak = max(self._peak, sum(map(_mark, living)))


def _mark(process: psutil.Process) -> int:
    """Give the bytes at a process's high-water mark; none when it has ended meanwhile."""
    try:
        found = _MARK.search(Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8"))
        return int(found[1]) * 1024 if found else 0  # one that has ended but was not waited for has no mark
    except ProcessLookupError:
        return 0
    except FileNotFoundError:
        return _resident(process)


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
