"""`repro` on a terminal: finished steps scroll by above one line that says what runs and how much is left."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from gitml.cli.reporters import LineReporter
from gitml.cli.terminal import printable
from gitml.engine.outcome import Outcome
from gitml.model.decision import Reason

_NAMED = 4


class LiveReporter(LineReporter):
    """Adds the line at the bottom; it is gone when the loop has ended."""

    def __init__(self, make_room: Callable[[], None]) -> None:
        super().__init__(make_room)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
        )
        self._task = self._progress.add_task("")
        self._running: dict[str, None] = {}

    def began(self, steps: Sequence[str]) -> None:
        """Show the line."""
        super().began(steps)
        self._progress.update(self._task, total=len(steps))
        self._progress.start()

    def started(self, step: str, reasons: tuple[Reason, ...]) -> None:
        """Add a step to the line."""
        self._running[step] = None
        self._show()

    def output(self, step: str, data: bytes) -> None:
        """Pass on what the only running step writes, above the line."""
        self._streamed.add(step)
        sys.stderr.write(data.decode("utf-8", "replace"))

    def settled(self, step: str, outcome: Outcome) -> None:
        """Print the step's line above, and count it."""
        super().settled(step, outcome)
        self._running.pop(step, None)
        self._progress.advance(self._task)
        self._show()

    def finished(self, exit_code: int) -> None:
        """Take the line away and print the sum."""
        self.close()
        super().finished(exit_code)

    def close(self) -> None:
        """Take the line away."""
        self._progress.stop()

    def _say(self, line: str, *, err: bool = False) -> None:
        # `click.echo` looks behind the streams that rich puts in place, and would write into the line at the bottom.
        if err or sys.stdout.isatty():
            self._progress.console.print(Text.from_ansi(line), soft_wrap=True)
        else:
            super()._say(line)

    def _show(self) -> None:
        names = [printable(step) for step in self._running]
        more = f" +{len(names) - _NAMED}" if len(names) > _NAMED else ""
        self._progress.update(self._task, description=" ".join(names[:_NAMED]) + more)
