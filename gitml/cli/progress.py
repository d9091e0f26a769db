"""One line on stderr that says how far long work is.

No thread draws it: work is spread over forked processes, and a fork is only safe while there is one thread. So it is
drawn from the calls that tell of progress, ten times a second at most, and only when the work has lasted half a second.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from gitml.cli.terminal import duration_text, printable, size_text
from gitml.hashing.meter import SILENT, Meter

_SILENT_FOR = 0.5
_EVERY = 0.1
_ERASE = "\r\x1b[K"


class ProgressLine:
    """A meter that draws; used as a context, at whose end the line is gone.

    `clock`: seconds, of any origin, never running backwards. `width`: columns of the terminal.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        clock: Callable[[], float] = time.monotonic,
        width: Callable[[], int] = lambda: shutil.get_terminal_size().columns,
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._width = width
        self._quiet_until = clock() + _SILENT_FOR
        self._began = clock()
        self._name = ""
        self._files = self._size = 0
        self._all_files: int | None = None
        self._all_size: int | None = None
        self._drawn = False

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.erase()

    def phase(self, name: str, *, files: int | None = None, size: int | None = None) -> None:
        """Begin to count anew."""
        self._name, self._all_files, self._all_size = name, files, size
        self._files = self._size = 0
        self._began = self._clock()
        self._draw_in_time()

    def advance(self, files: int, size: int) -> None:
        """Count."""
        self._files += files
        self._size += size
        self._draw_in_time()

    def erase(self) -> None:
        """Take the line away; it comes back with the next progress."""
        if self._drawn:
            self._drawn = False
            self._stream.write(_ERASE)
            self._stream.flush()

    def _draw_in_time(self) -> None:
        now = self._clock()
        if now < self._quiet_until:
            return
        self._quiet_until = now + _EVERY
        self._drawn = True
        # A line that fills the last column makes some terminals wrap, and then only its second half is erased.
        self._stream.write(_ERASE + self._text(now - self._began)[: max(self._width() - 1, 0)])
        self._stream.flush()

    def _text(self, seconds: float) -> str:
        parts = [printable(self._name), _of(f"{self._files:,}", self._all_files, "{:,}".format) + " files"]
        if self._size or self._all_size:
            parts.append(_of(size_text(self._size), self._all_size, size_text))
        if seconds > 0 and self._size:
            parts.append(f"{size_text(round(self._size / seconds))}/s")
        share = self._share()
        if share is not None and seconds > 0:
            parts.append(f"{duration_text(max(seconds / share - seconds, 0))} left")
        return "  ".join(part for part in parts if part)

    def _share(self) -> float | None:
        """Give the part that is done: of the bytes where their number is known, else of the files."""
        for done, total in ((self._size, self._all_size), (self._files, self._all_files)):
            if total and done:
                return min(done / total, 1.0)
        return None


def progress(*, quiet: bool = False) -> ProgressLine | SilentLine:
    """Give the meter of a command: a line where somebody watches stderr, else silence."""
    if quiet or not sys.stderr.isatty():
        return SilentLine()
    return ProgressLine(sys.stderr)


class SilentLine:
    """Shows nothing, in the form of a line."""

    def __enter__(self) -> Meter:
        return SILENT

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is drawn."""

    def erase(self) -> None:
        """Nothing is drawn."""


def _of(done: str, total: int | None, text: Callable[[int], str]) -> str:
    return done if total is None else f"{done} of {text(total)}"
