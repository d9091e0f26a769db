"""The pipelines that every tool is given: trivial steps, each with an input file of its own."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Shape(str, Enum):
    """How the steps hang together: each on the one before, or not at all."""

    CHAIN = "chain"
    FAN = "fan"


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """`steps` steps; step `i` copies `in/i` to `out/i`, after `pause` seconds of sleep.

    In a chain it depends on `out/i-1` too. It does not read that file: outputs would grow with the length of the
    chain, and hashing them would drown what is measured.
    """

    steps: int
    shape: Shape
    pause: float = 0.0

    def command(self, step: int) -> str:
        """Give the shell command of a step."""
        copy = f"cat in/{step} > out/{step}"
        return f"sleep {self.pause} && {copy}" if self.pause else copy

    def inputs(self, step: int) -> list[str]:
        """Name the files that a step depends on."""
        before = [f"out/{step - 1}"] if self.shape is Shape.CHAIN and step else []
        return [f"in/{step}", *before]

    def output(self, step: int) -> str:
        """Name the file that a step writes."""
        return f"out/{step}"

    def write_inputs(self, folder: Path) -> None:
        """Write every `in/i`, no two alike, and make the folder for the outputs."""
        (folder / "in").mkdir(parents=True)
        (folder / "out").mkdir()
        for step in range(self.steps):
            (folder / "in" / str(step)).write_text(f"input of step {step}\n", encoding="utf-8")
