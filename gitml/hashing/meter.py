"""How far long work is, told to whoever shows it."""

from __future__ import annotations

from typing import Protocol


class Meter(Protocol):
    """Is told of progress; called often, from one thread, so implementations draw at their own pace."""

    def phase(self, name: str, *, files: int | None = None, size: int | None = None) -> None:
        """Begin a part of the work (`hashing`, `copying`), with how many files and bytes it has, where known."""

    def advance(self, files: int, size: int) -> None:
        """Count files and bytes as done."""


class _Silent:
    def phase(self, name: str, *, files: int | None = None, size: int | None = None) -> None:
        pass

    def advance(self, files: int, size: int) -> None:
        pass


SILENT: Meter = _Silent()
"""Shows nothing."""
