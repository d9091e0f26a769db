"""`gitml add`."""

from __future__ import annotations

import json
import os
import sys

import click

from gitml.cli.options import json_option, project_here, quiet_option
from gitml.cli.terminal import size_text, step_line
from gitml.errors import EXIT_OK
from gitml.hashing.meter import SILENT
from gitml.project.add import Added, add


@click.command(epilog="Example: gitml add data/raw — record the folder; then git add .gitml and commit.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path())
@json_option
@quiet_option
def command(paths: tuple[str, ...], *, as_json: bool, quiet: bool) -> int:
    """Record raw data (files or folders) as sources, or their new versions."""
    with project_here() as project:
        found = add(project, os.getcwd(), paths, SILENT)
    if as_json:
        click.echo(json.dumps({"schema": "gitml-add/1", "sources": [_json(one) for one in found]}, indent=2))
    elif not quiet:
        for one in found:
            click.echo(
                step_line("fresh", one.path, f"{one.state}  {size_text(one.entry.size)}", width=0, stream=sys.stdout)
            )
    return EXIT_OK


def _json(one: Added) -> dict[str, object]:
    return {"path": one.path, "state": one.state, "digest": str(one.entry.digest)}
