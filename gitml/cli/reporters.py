"""Reporters of `repro`: lines for people, one JSON object per event for programs, or errors only."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from shlex import quote

import click

from gitml.cli.sourcewords import changes_text
from gitml.cli.terminal import (
    duration_text,
    glyph,
    name_width,
    printable,
    printable_lines,
    size_text,
    step_line,
    use_colour,
)
from gitml.cli.words import reason_json, reasons_text
from gitml.engine.outcome import Executed, Failed, Kept, Outcome, Restored, Skipped, Verified
from gitml.model.decision import Reason
from gitml.model.record import run_to_json
from gitml.project.treediff import Changes

SCHEMA = "gitml-event/1"


class LineReporter:
    """One line per step on stdout when it is settled; what goes on meanwhile is on stderr.

    `make_room` takes away the line of progress that may stand on the terminal before the loop starts.
    """

    def __init__(self, make_room: Callable[[], None]) -> None:
        self._make_room = make_room
        self._began = time.monotonic()
        self._counts: Counter[str] = Counter()
        self._streamed: set[str] = set()
        self._width = 0

    def recorded(self, source: str, *, added: int, changed: int, digest: str) -> None:
        """Say that a source has a new version."""
        self._make_room()
        told = changes_text(Changes(added=added, changed=changed))
        self._say(step_line("recorded", source, f"recorded  {told}", width=0, stream=sys.stdout))

    def began(self, steps: Sequence[str]) -> None:
        """Leave room for the names; there is nothing to say before something happens."""
        self._make_room()
        self._width = name_width(steps)
        self._began = time.monotonic()

    def started(self, step: str, reasons: tuple[Reason, ...]) -> None:
        """Name what runs now, where somebody watches."""
        if sys.stderr.isatty():
            click.echo(
                step_line("running", step, f"running  {reasons_text(reasons)}", width=0, stream=sys.stderr), err=True
            )

    def waiting(self, step: str, holder: str) -> None:
        """Say for whom a step waits."""
        self._say(f"{glyph('waiting', sys.stderr)} {printable(step)}  waits for {holder}", err=True)

    def output(self, step: str, data: bytes) -> None:
        """Pass on what the only running step writes."""
        self._streamed.add(step)
        sys.stderr.buffer.write(data)
        sys.stderr.buffer.flush()

    def settled(self, step: str, outcome: Outcome) -> None:
        """Print the step's line, and below it what the user should know."""
        state, text, notes = outcome_text(outcome)
        self._counts[state] += 1
        self._say(step_line(state, step, printable_lines(text), width=self._width, stream=sys.stdout))
        for note in notes:
            self._say(f"    {printable_lines(note)}")
        if isinstance(outcome, Failed) and outcome.tail and step not in self._streamed:
            for line in outcome.tail:
                self._say(f"    | {printable(line)}", err=True)

    def finished(self, exit_code: int) -> None:
        """Print the sum."""
        if sum(self._counts.values()) > 1:
            took = duration_text(time.monotonic() - self._began)
            parts = [f"{count} {state}" for state, count in self._counts.items()]
            line = f"{', '.join(parts)} in {took}"
            click.echo(click.style(line, bold=True) if use_colour(sys.stdout) else line)

    def close(self) -> None:
        """Nothing is open."""

    def _say(self, line: str, *, err: bool = False) -> None:
        click.echo(line, err=err)


class QuietReporter(LineReporter):
    """Failures only."""

    def recorded(self, source: str, *, added: int, changed: int, digest: str) -> None:
        """Say nothing."""

    def waiting(self, step: str, holder: str) -> None:
        """Say nothing."""

    def started(self, step: str, reasons: tuple[Reason, ...]) -> None:
        """Say nothing."""

    def settled(self, step: str, outcome: Outcome) -> None:
        """Print failures, on stderr."""
        if isinstance(outcome, Failed) or (isinstance(outcome, Verified) and outcome.differing):
            state, text, notes = outcome_text(outcome)
            click.echo(step_line(state, step, text, width=0, stream=sys.stderr), err=True)
            for note in (*notes, *(getattr(outcome, "tail", ()))):
                click.echo(f"    {printable(note)}", err=True)

    def finished(self, exit_code: int) -> None:
        """Say nothing."""


class JsonReporter:
    """One JSON object per line on stdout."""

    def recorded(self, source: str, *, added: int, changed: int, digest: str) -> None:
        """Tell that a source has a new version."""
        _emit("recorded", source=source, added=added, changed=changed, digest=digest)

    def began(self, steps: Sequence[str]) -> None:
        """Tell how many steps there are."""
        _emit("began", steps=len(steps))

    def started(self, step: str, reasons: tuple[Reason, ...]) -> None:
        """Tell that a step's commands start, and why."""
        _emit("started", step=step, reasons=[reason_json(reason) for reason in reasons])

    def waiting(self, step: str, holder: str) -> None:
        """Tell for whom a step waits."""
        _emit("waiting", step=step, holder=holder)

    def output(self, step: str, data: bytes) -> None:
        """Leave the log to `gitml show`."""

    def settled(self, step: str, outcome: Outcome) -> None:
        """Tell what became of a step."""
        state, text, notes = outcome_text(outcome)
        data: dict[str, object] = {"step": step, "outcome": state, "text": text, "notes": list(notes)}
        data["reasons"] = [reason_json(reason) for reason in getattr(outcome, "reasons", ())]
        run = getattr(outcome, "run", None)
        if run is not None:
            card = run_to_json(run)
            data["run"] = {name: card[name] for name in _CARD}
        if isinstance(outcome, (Executed, Restored)):
            data["rescued"] = [{"path": r.path, "kept": r.kept} for r in outcome.rescued]
        _emit("settled", **data)

    def finished(self, exit_code: int) -> None:
        """Tell the exit code."""
        _emit("finished", exit_code=exit_code)

    def close(self) -> None:
        """Nothing is open."""


_CARD = ("id", "key", "exit_code", "duration", "cpu_seconds", "peak_memory", "snapshot", "outputs", "metrics", "log")


def outcome_text(outcome: Outcome) -> tuple[str, str, tuple[str, ...]]:
    """Say what became of a step: its state, the rest of its line, and notes to print below."""
    if isinstance(outcome, Kept):
        marks = "".join([" (frozen)" if outcome.frozen else "", " (renamed)" if outcome.renamed else ""])
        return "fresh", "fresh" + marks, ()
    if isinstance(outcome, Executed):
        text = f"ran  {duration_text(outcome.run.duration)}  {reasons_text(outcome.reasons)}"
        unread = tuple(f"metrics {path}: no numbers could be read (JSON, TOML or YAML)" for path in outcome.unread)
        return "ran", text, (*_rescues(outcome), *unread)
    if isinstance(outcome, Restored):
        size = size_text(sum(entry.size for entry in outcome.run.outputs.values()))
        return "restored", f"restored  cache  {size}  {reasons_text(outcome.reasons)}", _rescues(outcome)
    if isinstance(outcome, Verified):
        if not outcome.differing:
            return "verified", f"verified  {duration_text(outcome.run.duration)}  the same outputs", ()
        note = f"the run is kept as {outcome.run.id}; the recorded outputs are in place"
        return "failed", f"differs  {', '.join(outcome.differing)}", (note,)
    if isinstance(outcome, Failed):
        partial = (f"what it left is in {outcome.partial}",) if outcome.partial else ()
        return "failed", f"failed  {outcome.why}", (*outcome.detail, *partial)
    if isinstance(outcome, Skipped):
        return "skipped", f"skipped  {outcome.because}", ()
    return "waiting", f"waits for {outcome.holder}", ()


def _rescues(outcome: Executed | Restored) -> tuple[str, ...]:
    return tuple(
        f"{rescued.path} had been changed by hand; it is kept: cp -r {quote(rescued.kept)} {quote(rescued.path)}"
        for rescued in outcome.rescued
    )


def _emit(event: str, **fields: object) -> None:
    click.echo(json.dumps({"schema": SCHEMA, "event": event, **fields}))
