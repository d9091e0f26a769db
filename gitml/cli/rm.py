"""`gitml rm`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from shlex import quote

import click

from gitml.cli.options import json_option, project_here, quiet_option
from gitml.cli.sourcewords import readers_text
from gitml.cli.terminal import printable, step_line
from gitml.errors import EXIT_OK
from gitml.project.remove import Removal, Removed, remove


@click.command(
    epilog="Example: gitml rm data/old — the data stays where it is; only its pointer is gone, which a commit makes"
    " known. gitml rm --delete data/old deletes it as well, once the cache holds all of it."
)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path())
@click.option("--delete", is_flag=True, help="Delete the data from the worktree too; the cache keeps it.")
@click.option("--force", is_flag=True, help="With --delete: also data with unsaved changes, of which a copy is kept.")
@json_option
@quiet_option
def command(paths: tuple[str, ...], *, delete: bool, force: bool, as_json: bool, quiet: bool) -> int:
    """Stop tracking sources: remove their pointers. Older commits still name what they held."""
    if force and not delete:
        raise click.UsageError("--force goes with --delete: without it nothing is deleted")
    with project_here() as project:
        found = remove(project, Removal(cwd=os.getcwd(), paths=paths, delete=delete, force=force))
    if as_json:
        click.echo(json.dumps({"schema": "gitml-rm/1", "sources": [_json(one) for one in found]}, indent=2))
    elif not quiet:
        for one in found:
            click.echo("\n".join(_lines(one)))
    return EXIT_OK


def _lines(one: Removed) -> Iterator[str]:
    told = "no source any more, and deleted" if one.deleted else "no source any more; the data is where it was"
    yield step_line("skipped", one.path, told, width=0, stream=sys.stdout)
    for rescued in one.rescued:
        kept, path = quote(rescued.kept), quote(rescued.path)
        yield f"    the cache did not hold it; it is kept: {printable(f'cp -r {kept} {path}')}"
    if one.readers:
        yield f"    {readers_text(one.readers)} still read it"


def _json(one: Removed) -> dict[str, object]:
    return {
        "path": one.path,
        "deleted": one.deleted,
        "rescued": [{"path": r.path, "kept": r.kept} for r in one.rescued],
        "readers": list(one.readers),
    }
