"""`gitml mv`."""

from __future__ import annotations

import json
import os
import sys

import click

from gitml.cli.options import json_option, project_here, quiet_option
from gitml.cli.sourcewords import readers_text
from gitml.cli.terminal import printable, step_line
from gitml.errors import EXIT_OK
from gitml.project.move import move


@click.command(epilog="Example: gitml mv data/raw data/2024 — then name the new path in gitml.toml, and commit both.")
@click.argument("old", type=click.Path())
@click.argument("new", type=click.Path())
@json_option
@quiet_option
def command(old: str, new: str, *, as_json: bool, quiet: bool) -> int:
    """Rename a source, its data and its pointer. Into NEW, where that is a folder; nothing is overwritten."""
    with project_here() as project:
        moved = move(project, os.getcwd(), old, new)
    if as_json:
        data = {"schema": "gitml-mv/1", "old": moved.old, "new": moved.new, "readers": list(moved.readers)}
        click.echo(json.dumps(data, indent=2))
    elif not quiet:
        click.echo(step_line("recorded", moved.new, f"was {printable(moved.old)}", width=0, stream=sys.stdout))
        if moved.readers:
            click.echo(f"    {readers_text(moved.readers)} read the old path: change gitml.toml")
    return EXIT_OK
