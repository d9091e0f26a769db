"""What is wrong in a file that the user wrote: where, why, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gitml.errors import UsageError

if TYPE_CHECKING:
    from gitml.manifest.positions import Path, Position

_WIDEST_LINE = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One mistake. `line` and `column` count from 1, in characters; `text` is the offending line."""

    file: str
    line: int
    column: int
    text: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        lines = [f"{self.file}:{self.line}:{self.column}: {self.message}", *self._excerpt()]
        if self.hint:
            lines.append(self.hint)
        return "\n".join(lines)

    def _excerpt(self) -> list[str]:
        """The line and a caret; tabs stay tabs above the caret, so that it stands right in any terminal."""
        if not self.text.strip() or self.column > _WIDEST_LINE:
            return []
        pad = "".join("\t" if c == "\t" else " " for c in self.text[: self.column - 1])
        return ["  " + self.text[:_WIDEST_LINE], "  " + pad + "^"]


class ManifestError(UsageError):
    """One mistake in syntax, or all mistakes in meaning, of the manifest and the files that it names."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n\n".join(str(problem) for problem in self.problems))


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """A mistake before anyone has looked up where it stands.

    `path` leads to the key, or to the list element when it ends in a number. `value` asks for the value instead of
    the key; `within` for the first place inside the value where this text stands. `secret`: the line may not be
    shown, also not for another mistake on it.
    """

    path: Path
    message: str
    hint: str | None = None
    value: bool = False
    within: str | None = None
    secret: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A TOML file with its text; `prefix` leads to the table that is read, for `pyproject.toml`."""

    file: str
    text: str
    prefix: Path = ()

    def problem(self, fault: Fault) -> Problem:
        """Look up where a fault stands."""
        from gitml.manifest.positions import locate  # noqa: PLC0415 - only a mistake needs it

        where = locate(self.text, (*self.prefix, *fault.path), value=fault.value, within=fault.within)
        return at(self.file, where, fault.message, fault.hint)


def at(file: str, where: Position, message: str, hint: str | None = None) -> Problem:
    """Join a message and its position."""
    return Problem(file=file, line=where.line, column=where.column, text=where.text, message=message, hint=hint)


def place(text: str, offset: int) -> Position:
    """Give the line and the column of an offset; see `gitml.manifest.positions.position_of`."""
    from gitml.manifest.positions import position_of  # noqa: PLC0415 - only a mistake needs it

    return position_of(text, offset)


def refuse(source: Source, faults: Iterable[Fault]) -> None:
    """End the reading if there are faults, each told once, in the order in which they stand in the file.

    Raises:
        ManifestError: There is at least one fault.
    """
    found = {source.problem(fault): fault.secret for fault in faults}
    if found:
        hidden = {problem.line for problem, secret in found.items() if secret}
        problems = [replace(problem, text="") if problem.line in hidden else problem for problem in found]
        raise ManifestError(sorted(problems, key=lambda p: (p.line, p.column, p.message)))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Make the hint that names the known word nearest to a mistaken one; None if none is near."""
    import difflib  # noqa: PLC0415 - only a mistake needs it

    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean '{found[0]}'?" if found else None
