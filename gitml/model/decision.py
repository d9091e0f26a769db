"""What to do about a step, and why: data that `repro`, `status`, `why`, `--json` and the tests share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from gitml.model.run import Run


@dataclass(frozen=True, slots=True)
class _Plain:
    """A reason without fields. The reasons share few dataclasses: each costs half a millisecond of every start."""


@dataclass(frozen=True, slots=True)
class _OfPart:
    part: str

    def _named(self) -> str:
        return self.part.replace(":", " ", 1)


@dataclass(frozen=True, slots=True)
class _OfPath:
    path: str


class NeverRun(_Plain):
    """The lock has no entry for the step."""

    __slots__ = ()

    def __str__(self) -> str:
        return "never run"


class Forced(_Plain):
    """The user asked with `--force`."""

    __slots__ = ()

    def __str__(self) -> str:
        return "forced"


class Always(_Plain):
    """The step is declared `always`."""

    __slots__ = ()

    def __str__(self) -> str:
        return "declared always"


@dataclass(frozen=True, slots=True)
class PartChanged(_OfPart):
    """A part of the recipe differs; `before` and `after` are JSON data, short enough to show."""

    before: object
    after: object

    def __str__(self) -> str:
        kind, _, name = self.part.partition(":")
        if kind == "param":
            return f"param {name} {self.before!r} -> {self.after!r}"
        return f"{kind} {name} changed" if name else f"{kind} changed"


class PartAdded(_OfPart):
    """The recipe has a part that the lock has not."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"{self._named()} added"


class PartRemoved(_OfPart):
    """The lock has a part that the recipe has no longer."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"{self._named()} removed"


class OutputMissing(_OfPath):
    """A recorded output is not in the worktree."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"output {self.path} is missing"


class OutputChanged(_OfPath):
    """An output in the worktree differs from what the lock records."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"output {self.path} was changed"


class InputMissing(_OfPath):
    """A declared input is not there and no step makes it."""

    __slots__ = ()

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
