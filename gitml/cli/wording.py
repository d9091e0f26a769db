"""Runs and moments in the words that several commands share."""

from __future__ import annotations

import time
from collections.abc import Sequence

from gitml.cli.terminal import printable
from gitml.model.run import Run

SHORT = 10
"""Digits of a commit's id that are shown."""


def moment_text(seconds: float) -> str:
    """Write a moment (seconds since the epoch) in local time, to the minute."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def snapshot_text(run: Run) -> str:
    """Name the commit that a run ran from, and the branch that was checked out."""
    if run.snapshot is None:
        return "no commit"
    return run.snapshot[:SHORT] + (f" ({printable(run.branch)})" if run.branch else "")


def run_text(run: Run) -> str:
    """Name a run: its id, step, commit and time."""
    return f"run {printable(run.id)} of {printable(run.step)}, {snapshot_text(run)}, {moment_text(run.started)}"


def state_text(run: Run) -> str:
    """Say how a run ended."""
    if run.exit_code != 0:
        return f"failed (exit {run.exit_code})"
    if run.accepted is not None:
        return "accepted"
    return "tainted" if run.tainted else "ok"


def chain_text(via: Sequence[str]) -> str:
    """Say through which imports a code file was found."""
    return printable(", which is ".join(via))
