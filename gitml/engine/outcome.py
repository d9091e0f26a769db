"""What became of a step: data for the reporter, the exit code and the tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

from gitml.engine.workspace import Rescued
from gitml.model.decision import Reason
from gitml.model.run import Run


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """It was fresh. `frozen`: only because it is declared so. `renamed`: its lock was an orphan's of the same key."""

    frozen: bool = False
    renamed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Restored:
    """Its outputs came from the store."""

    run: Run
    reasons: tuple[Reason, ...]
    rescued: tuple[Rescued, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Executed:
    """Its commands ran and ended well. `unread`: metrics files that are not JSON, TOML or YAML."""

    run: Run
    reasons: tuple[Reason, ...]
    rescued: tuple[Rescued, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """It was run again to compare; `differing` outputs are not what is recorded."""

    run: Run
    differing: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """It did not end well; previous outputs are in place again.

    `why` is a phrase for the one line of the report, `detail` further lines, `partial` the folder that keeps what it
    left, `tail` the last lines of its log.
    """

    why: str
    reasons: tuple[Reason, ...] = ()
    detail: tuple[str, ...] = ()
    partial: str | None = None
    tail: tuple[str, ...] = ()
    run: Run | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Busy:
    """Another process holds its claim; `holder` says who, as far as it is known."""

    holder: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Skipped:
    """It was not reached, because `because` failed or the run was stopped."""

    because: str


Outcome = Union[Kept, Restored, Executed, Verified, Failed, Busy, Skipped]
