"""Start one command, wait for it, and write what it took to a descriptor: `launcher.py DESCRIPTOR PROGRAM ARG...`.

A process of its own, as small as Python gets: Linux hands the peak memory of the process that starts another on to the
other's figure, and the harness grows with what it checks. Run with `-I -S`; it imports nothing of this repository.

Written are the seconds of wall time, `ru_maxrss` and the wait status, separated by blanks.
"""

from __future__ import annotations

import os
import signal
import sys
import time


def main(report: int, argv: list[str]) -> None:
    """Do all of it."""
    os.set_inheritable(report, False)
    begun = time.perf_counter()
    # Python ignores these two, which a command would inherit.
    pid = os.posix_spawnp(argv[0], argv, os.environ, setsigdef=[signal.SIGPIPE, signal.SIGXFSZ])
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - begun
    os.write(report, f"{seconds!r} {usage.ru_maxrss} {status}".encode())


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
