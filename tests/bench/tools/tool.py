"""What the harness asks of a tool."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from tests.bench.load import Load


class Tool(Protocol):
    """A tool that can run a `Load`. Commands are started in the folder that was set up.

    `in_git`: the folder is a Git repository, committed before the first run and after it, as a user would.
    `environ`: variables laid over those of the harness.
    """

    name: str
    in_git: bool
    environ: Mapping[str, str]

    def version(self) -> str:
        """Give the version that is measured."""
        ...

    def setup(self, folder: Path, load: Load) -> None:
        """Write what declares the pipeline; the inputs are there already."""
        ...

    def repro(self, jobs: int) -> list[str]:
        """Give the command that brings everything up to date: the first run, and the no-op after it."""
        ...

    def status(self) -> list[str]:
        """Give the command that tells what is stale and runs nothing."""
        ...
