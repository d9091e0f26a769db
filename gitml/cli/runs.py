"""`gitml runs`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import click

from gitml.cli.options import json_option, project_here, steps_argument
from gitml.cli.terminal import duration_text, printable
from gitml.cli.wording import SHORT, moment_text, state_text
from gitml.errors import EXIT_OK
from gitml.model.record import run_to_json
from gitml.project.runs import Listed, is_named, list_runs, short_names, varying

_COLUMNS = 8
_WIDEST = 24


@click.command(epilog="Example: gitml runs train --sort accuracy -n 5 — the five best trainings, committed or not.")
@steps_argument
@click.option("--sort", metavar="METRIC", help="Sort by a metric or parameter (the end of its name), largest first.")
@click.option("-r", "--reverse", is_flag=True, help="Turn the order round.")
@click.option("-n", "--number", type=click.IntRange(min=1), metavar="N", help="Show the first N only.")
@json_option
def command(steps: tuple[str, ...], *, sort: str | None, reverse: bool, number: int | None, as_json: bool) -> int:
    """List the runs that are known here, committed or not, newest first.

    Beside the facts of each run, its metrics and parameters are shown where they vary.
    """
    with project_here() as project:
        listed = list_runs(project, steps, sort=sort, reverse=reverse)[:number]
    if as_json:
        rows = [{**run_to_json(one.run), "numbers": _finite(one)} for one in listed]
        click.echo(json.dumps({"schema": "gitml-runs/1", "runs": rows}, indent=2))
    elif listed:
        click.echo("\n".join(_table(listed, sort)))
    else:
        click.echo("no runs yet", err=True)
    return EXIT_OK


def _finite(one: Listed) -> dict[str, float | str]:
    """Give the flat metrics; JSON has no infinities, so that they become text."""
    return {name: value if abs(value) < float("inf") else str(value) for name, value in one.metrics.items()}


def _table(listed: Sequence[Listed], sort: str | None) -> list[str]:
    """Lay the runs out in columns; what all of them share is left out, but what they are sorted by is not."""
    names = short_names(one.metrics for one in listed)
    metrics = [{names[name]: value for name, value in one.metrics.items()} for one in listed]
    params = [dict(one.run.params) for one in listed]
    columns = [(name, "metrics") for name in _chosen(metrics, sort, missing=True)]
    columns += [(name, "params") for name in _chosen(params, sort, missing=False)]
    shown, hidden = columns[:_COLUMNS], len(columns) - _COLUMNS
    head = ["run", "step", "started", "took", "state", "commit", *(name for name, _ in shown)]
    rows = [head]
    for one, numbers, values in zip(listed, metrics, params, strict=True):
        cells = [_cell((numbers if kind == "metrics" else values).get(name)) for name, kind in shown]
        rows.append([*_facts(one), *cells])
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[index]) for row in rows) for index in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [*lines, f"(+{hidden} more columns: --json)"] if hidden > 0 else lines


def _chosen(tables: Sequence[Mapping[str, object]], sort: str | None, *, missing: bool) -> list[str]:
    """Name the columns to show, first what the rows are sorted by.

    A metric that only some steps have is shown. A parameter is not: each step declares its own.
    """
    first = [n for n in dict.fromkeys(n for table in tables for n in table) if sort is not None and is_named(n, sort)]
    return list(dict.fromkeys([*first, *varying(tables, missing=missing)]))


def _facts(one: Listed) -> list[str]:
    run = one.run
    commit = run.snapshot[:SHORT] if run.snapshot else "-"
    return [run.id, run.step, moment_text(run.started), duration_text(run.duration), state_text(run), commit]


def _cell(value: object) -> str:
    if value is None:
        return "-"
    text = f"{value:.6g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
