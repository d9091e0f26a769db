"""What the loop tells while it goes on: the command line prints it, tests collect it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gitml.engine.outcome import Outcome
from gitml.model.decision import Reason


class Reporter(Protocol):
    """Told of each event, steps by their ids, in the order in which it happens, always from the loop's own thread."""

    def recorded(self, source: str, *, added: int, changed: int, digest: str) -> None:
        """A source has a new version, with so many files added and changed; told before the loop starts."""

    def began(self, steps: Sequence[str]) -> None:
        """The loop starts with these steps."""

    def started(self, step: str, reasons: tuple[Reason, ...]) -> None:
        """A step's commands are about to run."""

    def waiting(self, step: str, holder: str) -> None:
        """Another process works on the step; told once."""

    def output(self, step: str, data: bytes) -> None:
        """The only step that runs has written this; secrets are out of it."""

    def settled(self, step: str, outcome: Outcome) -> None:
        """A step has come to its end."""
