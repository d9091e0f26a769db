"""How things look: glyphs, colours, sizes and durations."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TextIO

import click

_GLYPHS = {
    "fresh": ("✓", "=", "green"),
    "ran": ("✓", "+", "green"),
    "restored": ("↓", "v", "cyan"),
    "cached": ("↓", "v", "cyan"),
    "stale": ("●", "*", "yellow"),
    "changed": ("●", "*", "yellow"),
    "missing": ("✗", "x", "red"),
    "recorded": ("+", "+", "green"),
    "running": ("▸", ">", "blue"),
    "unknown": ("?", "?", "magenta"),
    "conflicted": ("✗", "x", "red"),
    "failed": ("✗", "x", "red"),
    "skipped": ("-", "-", "white"),
    "waiting": ("…", ".", "white"),
    "verified": ("✓", "=", "green"),
}


def use_colour(stream: TextIO) -> bool:
    """Tell whether a stream takes colour: it is a terminal and NO_COLOR (no-color.org) is not set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def glyph(state: str, stream: TextIO) -> str:
    """Give the mark of a state, in ASCII where the stream's encoding has no other."""
    mark, plain, colour = _GLYPHS[state]
    try:
        mark.encode(getattr(stream, "encoding", None) or getattr(sys.__stdout__, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        mark = plain
    return click.style(mark, fg=colour) if use_colour(stream) else mark


def step_line(state: str, step: str, text: str, *, width: int, stream: TextIO) -> str:
    """Give the one line of a step: mark, name, what became of it."""
    return f"{glyph(state, stream)} {printable(step).ljust(width)}  {text}".rstrip()


def name_width(names: Iterable[str]) -> int:
    """Give the width of a column of names, as far as a terminal can spare it."""
    return min(40, max((len(printable(name)) for name in names), default=0))


def printable(text: str) -> str:
    """Escape what would move a cursor or break a line: names come from a clone."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def printable_lines(text: str) -> str:
    """Escape as `printable`, but keep the lines and tabs of a message that is more than one line."""
    return "".join(c if c in "\n\t" else printable(c) for c in text)


def error_lines(message: str, hint: str | None) -> list[str]:
    """Give an error as it is printed: `error: …`, then `hint: …`."""
    colour = use_colour(sys.stderr)
    head = click.style("error:", fg="red", bold=True) if colour else "error:"
    lines = [f"{head} {printable_lines(message)}"]
    if hint:
        lines.append(f"{click.style('hint:', fg='cyan') if colour else 'hint:'} {printable_lines(hint)}")
    return lines


def size_text(size: int) -> str:
    """Write bytes for people: `41 MB` (powers of 1000, as disks are sold)."""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if amount >= 10 or unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def duration_text(seconds: float) -> str:
    """Write a duration for people: `0.4 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds >= 0.05 else f"{seconds * 1000:.0f} ms"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
