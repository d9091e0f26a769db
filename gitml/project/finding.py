"""What looks wrong in a project that can be compiled."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing to look at. `severity`: `warning` (exit 1) or `info`. `line` and `column` count from 1.

    `rule` is a stable name. `steps`: those that it concerns, in declared order.
    """

    rule: str
    severity: str
    file: str
    line: int
    column: int
    message: str
    hint: str
    steps: tuple[str, ...] = ()
