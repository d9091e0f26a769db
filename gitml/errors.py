"""Errors that a user can act on, and the exit code each of them ends with.

Nothing below `gitml.cli` prints or exits: it raises one of these, with the data that makes the message, and the
command line turns it into `error: …` and `hint: …`. Any other exception that reaches the command line is a bug.
"""

from __future__ import annotations

import errno

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_STALE = 3
EXIT_REMOTE = 4
EXIT_DAMAGED = 5
EXIT_INTERRUPTED = 130


class GitmlError(Exception):
    """An operation failed for a reason that the user can see and mend.

    `message` is one sentence without a full stop; `hint` says what to do next.
    """

    exit_code = EXIT_FAILED

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(GitmlError):
    """The command line or a file that the user wrote cannot be taken as it is; nothing was run or written."""

    exit_code = EXIT_USAGE


class DamagedError(GitmlError):
    """Stored data does not have the digest by which it is named."""

    exit_code = EXIT_DAMAGED


class InterruptedRunError(GitmlError):
    """The user stopped the command; finished steps stay finished."""

    exit_code = EXIT_INTERRUPTED


def system_error_text(error: OSError) -> str:
    """Say what the system refused, beginning with the path where it names one (two of a rename)."""
    paths = [path for path in (error.filename, error.filename2) if isinstance(path, str)]
    return f"{' -> '.join(paths)}{': ' if paths else ''}{error.strerror or error}"


def system_error_hint(error: OSError) -> str | None:
    """Say what to do next, where there is one thing to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "make room on the disk, then call gitml again: nothing was lost"
    return None
