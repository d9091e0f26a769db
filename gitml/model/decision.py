"""What to do about a step, and why: data that `repro`, `status`, `why`, `--json` and the tests share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

from gitml.model.run import Run


@dataclass(frozen=True, slots=True)
class NeverRun:
    """The lock has no entry for the step."""

    def __str__(self) -> str:
        return "never run"


@dataclass(frozen=True, slots=True)
class Forced:
    """The user asked with `--force`."""

    def __str__(self) -> str:
        return "forced"


@dataclass(frozen=True, slots=True)
class Always:
    """The step is declared `always`."""

    def __str__(self) -> str:
        return "declared always"


@dataclass(frozen=True, slots=True)
class PartChanged:
    """A part of the recipe differs; `before` and `after` are JSON data, short enough to show."""

    part: str
    before: object
    after: object

    def __str__(self) -> str:
        kind, _, name = self.part.partition(":")
        if kind == "param":
            return f"param {name} {self.before!r} -> {self.after!r}"
        return f"{kind} {name} changed" if name else f"{kind} changed"


@dataclass(frozen=True, slots=True)
class PartAdded:
    """The recipe has a part that the lock has not."""

    part: str

    def __str__(self) -> str:
        return f"{self.part.replace(':', ' ', 1)} added"


@dataclass(frozen=True, slots=True)
class PartRemoved:
    """The lock has a part that the recipe has no longer."""

    part: str

    def __str__(self) -> str:
        return f"{self.part.replace(':', ' ', 1)} removed"


@dataclass(frozen=True, slots=True)
class OutputMissing:
    """A recorded output is not in the worktree."""

    path: str

    def __str__(self) -> str:
        return f"output {self.path} is missing"


@dataclass(frozen=True, slots=True)
class OutputChanged:
    """An output in the worktree differs from what the lock records."""

    path: str

    def __str__(self) -> str:
        return f"output {self.path} was changed"


@dataclass(frozen=True, slots=True)
class InputMissing:
    """A declared input is not there and no step makes it."""

    path: str

    def __str__(self) -> str:
        return f"input {self.path} is missing"


Reason = Union[
    NeverRun, Forced, Always, PartChanged, PartAdded, PartRemoved, OutputMissing, OutputChanged, InputMissing
]


@dataclass(frozen=True, slots=True)
class Keep:
    """Nothing to do. `frozen` marks a step that would be stale were it not declared frozen."""

    frozen: bool = False


@dataclass(frozen=True, slots=True)
class Restore:
    """The store has a run for the key: put its outputs in place."""

    run: Run
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Execute:
    """The commands must run."""

    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Unknown:
    """It cannot be known before these steps have run."""

    upstream: tuple[str, ...]


Decision = Union[Keep, Restore, Execute, Unknown]
