"""`gitml accept`."""

from __future__ import annotations

import json
import sys

import click

from gitml.cli.options import complete_steps, json_option, project_here
from gitml.cli.terminal import printable, step_line
from gitml.cli.words import reason_json, reasons_text
from gitml.engine.accept import Accepted
from gitml.errors import EXIT_OK
from gitml.project.accept import accept


@click.command(
    epilog='Example: gitml accept train --reason "only log messages changed" — the model need not be trained again.'
)
@click.argument("name", metavar="STEP|RUN", shell_complete=complete_steps)
@click.option("--reason", required=True, metavar="TEXT", help="Why the change cannot matter; kept in lock and run.")
@json_option
def command(name: str, *, reason: str, as_json: bool) -> int:
    """Let outputs stand for a key that did not make them.

    STEP: its present outputs stand for its present code, parameters and inputs. RUN: the result of a run whose inputs
    changed while it ran is put in place, and stands for what they were at its start.
    """
    with project_here() as project:
        found = accept(project, name, reason)
    if as_json:
        click.echo(json.dumps({"schema": "gitml-accept/1", "accepted": [_json(one) for one in found]}, indent=2))
    else:
        for one in found:
            click.echo("\n".join(_lines(one)))
    return EXIT_OK


def _lines(one: Accepted) -> list[str]:
    if one.run is None:
        return [step_line("fresh", one.step, "fresh, so there is nothing to accept", width=0, stream=sys.stdout)]
    reasons = reasons_text(one.reasons) or f"run {one.run.id}"
    lines = [step_line("fresh", one.step, f"accepted  {reasons}", width=0, stream=sys.stdout)]
    lines.extend(
        f"    {printable(rescued.path)} was not in the cache; it is kept in {printable(rescued.kept)}"
        for rescued in one.rescued
    )
    if not one.is_current:
        lines.append("    what it was made from has changed since, so the step stays stale")
    return lines


def _json(one: Accepted) -> dict[str, object]:
    return {
        "step": one.step,
        "run": None if one.run is None else one.run.id,
        "key": None if one.run is None else str(one.run.key),
        "reasons": [reason_json(reason) for reason in one.reasons],
        "rescued": [{"path": r.path, "kept": r.kept} for r in one.rescued],
        "is_current": one.is_current,
    }
