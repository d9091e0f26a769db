"""What changed in a source, as text and as JSON data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from shlex import quote

from gitml.cli.terminal import printable
from gitml.project.treediff import Changes

_WAYS = ("added", "changed", "deleted")
_MOST = 5
_SIGNS = {"added": "+", "changed": "~", "deleted": "-"}


def changes_text(changes: Changes) -> str:
    """Count in one line: `2 added, 1 changed`; what is not there is not named."""
    return ", ".join(f"{getattr(changes, way)} {way}" for way in _WAYS if getattr(changes, way)) or "no file differs"


def changes_lines(changes: Changes, source: str) -> Iterator[str]:
    """Name the first files of each way, one a line, and count the rest."""
    for way in _WAYS:
        first = getattr(changes, f"first_{way}")
        yield from (f"{_SIGNS[way]} {printable(f'{source}/{path}' if path else source)}" for path in first)
        more = getattr(changes, way) - len(first)
        if more:
            yield f"{_SIGNS[way]} and {more} more {way}"


def changes_json(changes: Changes | None, *, clean: bool = False) -> dict[str, object]:
    """Give the counts, null where they cannot be told, and the first names of each way."""
    if changes is None:
        return dict.fromkeys(_WAYS, 0 if clean else None) | {"first": {way: [] for way in _WAYS}}
    first = {way: list(getattr(changes, f"first_{way}")) for way in _WAYS}
    return {way: getattr(changes, way) for way in _WAYS} | {"first": first}


def path_word(path: str) -> str:
    """Write a path as a word that can be typed in a command."""
    return quote(path) if path.isprintable() else printable(path)


def readers_text(steps: Sequence[str]) -> str:
    """Name the steps that read a source, the first of many."""
    more = f" and {len(steps) - _MOST} more" if len(steps) > _MOST else ""
    return f"{'step' if len(steps) == 1 else 'steps'} {', '.join(map(printable, steps[:_MOST]))}{more}"
