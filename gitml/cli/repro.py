"""`gitml repro`."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from gitml.cli.options import json_option, place_here, project_here, quiet_option, steps_argument
from gitml.cli.progress import progress
from gitml.cli.terminal import use_colour
from gitml.errors import EXIT_INTERRUPTED, EXIT_OK
from gitml.project.place import Place
from gitml.project.quick import confirmed

if TYPE_CHECKING:
    from gitml.cli.reporters import JsonReporter, LineReporter
    from gitml.project.repro import Interrupts, Request


@click.command(
    epilog="Example: gitml repro evaluate -j 4 — bring `evaluate` and all it needs up to date, four at a time."
)
@steps_argument
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="CPUs to use at once.  [default: all]")
@click.option("-n", "--dry-run", is_flag=True, help="Show what would run and why; run nothing.")
@click.option("-f", "--force", is_flag=True, help="Run the named steps (or all) though they are fresh.")
@click.option("-k", "--keep-going", is_flag=True, help="After a failure, go on with what does not need it.")
@click.option("--downstream", is_flag=True, help="Also bring up to date what needs the named steps.")
@click.option("--pull", is_flag=True, help="Ask remotes for results before running.")
@click.option("--verify", metavar="STEP", multiple=True, help="Run a step again and compare with what is recorded.")
@json_option
@quiet_option
def command(
    steps: tuple[str, ...],
    *,
    jobs: int | None,
    dry_run: bool,
    force: bool,
    keep_going: bool,
    downstream: bool,
    pull: bool,
    verify: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> int:
    """Bring steps up to date: run what is stale, restore what the cache has, keep the rest.

    STEP is a step, a family of a matrix, one instance (train@fold=0) or the path of an output. Without one, all steps.
    """
    if pull and not quiet:
        click.echo("note: no remote is configured, so there is nothing to pull from", err=True)
    place = place_here()
    known = None if steps or force or verify else confirmed(place, os.environ)
    if known is not None:
        return _all_fresh(known.steps, dry_run=dry_run, as_json=as_json, quiet=quiet)
    from gitml.project.repro import Request

    request = Request(
        names=steps,
        jobs=jobs,
        force=force,
        keep_going=keep_going,
        downstream=downstream,
        verify=verify,
        stream=not (quiet or as_json),
    )
    if dry_run:
        return _plan(place, request, as_json=as_json, quiet=quiet)
    return _repro(place, request, as_json=as_json, quiet=quiet)


def _all_fresh(known: list[tuple[str, bool]], *, dry_run: bool, as_json: bool, quiet: bool) -> int:
    """Say that nothing is to be done: the most frequent answer, so it loads no more than it needs."""
    if as_json and not dry_run:
        from gitml.cli.reporters import JsonReporter
        from gitml.engine.outcome import Kept

        reporter = JsonReporter()
        reporter.began([step for step, _ in known])
        for step, frozen in known:
            reporter.settled(step, Kept(frozen=frozen))
        reporter.finished(EXIT_OK)
        return EXIT_OK
    from gitml.cli.status import show_rows
    from gitml.project.row import Row

    rows = [Row(step=step, state="fresh", frozen=frozen) for step, frozen in known]
    return show_rows(rows, as_json=as_json, quiet=quiet)


def _plan(place: Place, request: Request, *, as_json: bool, quiet: bool) -> int:
    from gitml.cli.status import show_rows
    from gitml.project.repro import plan

    with project_here(place) as project:
        rows = plan(project, request)
    return show_rows(rows, as_json=as_json, quiet=quiet)


def _repro(place: Place, request: Request, *, as_json: bool, quiet: bool) -> int:
    from gitml.project.repro import repro

    gc.enable()
    line = progress(quiet=quiet or as_json)
    reporter = _reporter(line.erase, as_json=as_json, quiet=quiet)
    with project_here(place) as project, _signals() as interrupts, contextlib.closing(reporter), line as meter:
        result = repro(project, request, reporter, interrupts, meter)
    reporter.finished(EXIT_INTERRUPTED if result.interrupted else result.exit_code)
    return EXIT_INTERRUPTED if result.interrupted else result.exit_code


def _reporter(make_room: Callable[[], None], *, as_json: bool, quiet: bool) -> LineReporter | JsonReporter:
    from gitml.cli.reporters import JsonReporter, LineReporter, QuietReporter

    if as_json:
        return JsonReporter()
    if quiet:
        return QuietReporter(make_room)
    if not use_colour(sys.stderr):  # no terminal, a dumb one, or a user who wants plain lines
        return LineReporter(make_room)
    from gitml.cli.live import LiveReporter  # rich takes 60 ms to import: only for a terminal

    return LiveReporter(make_room)


@contextmanager
def _signals() -> Iterator[Interrupts]:
    """Turn Ctrl-C, a polite kill and a closed terminal into one orderly stop."""
    from gitml.project.repro import Interrupts

    interrupts = Interrupts()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    heard = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]  # nohup ignores SIGHUP
    before = {number: signal.signal(number, lambda *_: interrupts()) for number in heard}
    try:
        yield interrupts
    finally:
        sys.stdout.flush()
        for number, handler in before.items():
            signal.signal(number, handler)
