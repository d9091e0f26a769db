"""Run one command of a step as a process group of its own, and be able to end all of it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

INTERRUPT_GRACE = 5.0
"""Seconds between SIGINT and SIGTERM, and again between SIGTERM and SIGKILL, when the user stops a run."""
_LEFTOVER_GRACE = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """How a command ended: `code` as a shell gives it (128 + signal), CPU in seconds, peak memory in bytes."""

    code: int
    cpu_seconds: float
    peak_memory: int
    timed_out: bool = False


class ProcessGroup:
    """A command in its own session: a terminal's Ctrl-C reaches gitml alone, which passes it on in its own order."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str],
        log: int,
        inherit: Sequence[int],
    ) -> None:
        self._guard = threading.Lock()
        self._ended = False
        self._process = subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=inherit,
        )
        self.pid = self._process.pid

    def wait(self, *, timeout: float | None = None) -> Finished:
        """Wait for the command, end what it left running, and give its resource use.

        After `timeout` seconds the whole group gets SIGTERM, then SIGKILL.
        """
        late = threading.Event()
        timer = threading.Timer(timeout, self._expire, (late,)) if timeout is not None else None
        if timer is not None:
            timer.daemon = True
            timer.start()
        try:
            if hasattr(os, "waitid"):  # not on macOS before Python 3.13
                os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
                self._tell_leftovers()
                with self._guard:  # its number cannot be another's before it is reaped, so no signal can go astray
                    self._ended = True
            _, status, usage = os.wait4(self.pid, 0)
            if not hasattr(os, "waitid"):
                self._tell_leftovers()
            self._ended = True
        finally:
            if timer is not None:
                timer.cancel()
        code = os.waitstatus_to_exitcode(status)
        self._process.returncode = code
        self._end_leftovers()
        return Finished(
            code=code if code >= 0 else 128 - code,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            peak_memory=_bytes(usage.ru_maxrss),
            timed_out=late.is_set(),
        )

    def signal(self, number: int) -> None:
        """Send a signal to every process of the group, if the command still runs."""
        with self._guard:
            if not self._ended:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.pid, number)

    def _expire(self, late: threading.Event) -> None:
        late.set()
        self.signal(signal.SIGTERM)
        end = time.monotonic() + INTERRUPT_GRACE
        while time.monotonic() < end and not self._ended:
            time.sleep(0.05)
        self.signal(signal.SIGKILL)

    def _tell_leftovers(self) -> None:
        """Ask what outlives the command to end, while the command is not reaped and its number cannot be another's."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGTERM)

    def _end_leftovers(self) -> None:
        """Wait for what outlives the command, then kill it: it could still write to outputs, which are hashed next.

        A group that still has members keeps its number, so no signal can go astray.
        """
        for patience in (_LEFTOVER_GRACE, 2 * _LEFTOVER_GRACE):
            end = time.monotonic() + patience
            while time.monotonic() < end:
                if not _alive(self.pid):
                    return
                time.sleep(0.01)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)


def stop(groups: Callable[[], Sequence[ProcessGroup]], *, hurry: threading.Event) -> None:
    """End running groups: SIGINT, then SIGTERM, then SIGKILL, each after a grace that `hurry` cuts short."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        for group in groups():
            group.signal(number)
        end = time.monotonic() + INTERRUPT_GRACE
        while groups() and time.monotonic() < end and not hurry.is_set():
            time.sleep(0.02)
        hurry.clear()
        if not groups():
            return


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _bytes(maxrss: int) -> int:
    """Linux counts the peak in KiB, macOS in bytes."""
    return maxrss if os.uname().sysname == "Darwin" else maxrss * 1024
