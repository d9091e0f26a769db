"""`gitml show`."""

from __future__ import annotations

import json
import sys

import click

from gitml.cli.cards import card_lines, sheet_json, sheet_lines
from gitml.cli.options import complete_steps, json_option, project_here
from gitml.errors import EXIT_OK
from gitml.model.record import run_to_json
from gitml.model.run import Run
from gitml.project.show import log_of, show


@click.command(
    epilog="Examples: gitml show train — its code and through which imports it was found, its key and last run."
    " gitml show train --log | less — what its last run printed."
)
@click.argument("name", metavar="STEP|RUN|KEY", shell_complete=complete_steps)
@click.option("--log", is_flag=True, help="Print the captured log of the run, or of the step's last run.")
@json_option
def command(name: str, *, log: bool, as_json: bool) -> int:
    """Show a step (declaration as resolved, code found, key, last run) or a run (its card, its log).

    A run is named by the beginning of its id or of its key. `gitml runs` lists them.
    """
    with project_here() as project:
        if log:
            return _print_log(log_of(project, name))
        found = show(project, name)
    if isinstance(found, Run):
        click.echo(json.dumps(run_to_json(found), indent=2) if as_json else "\n".join(card_lines(found)))
    elif as_json:
        click.echo(json.dumps({"schema": "gitml-show/1", "steps": [sheet_json(one) for one in found]}, indent=2))
    else:
        click.echo("\n\n".join("\n".join(sheet_lines(one)) for one in found))
    return EXIT_OK


def _print_log(data: bytes | None) -> int:
    if data is None:
        click.echo("the run wrote nothing", err=True)
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    return EXIT_OK
