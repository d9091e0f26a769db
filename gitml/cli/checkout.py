"""`gitml checkout`."""

from __future__ import annotations

import json
import os
import sys

import click

from gitml.cli.options import complete_steps, json_option, project_here, quiet_option
from gitml.cli.terminal import error_lines, printable, size_text, step_line
from gitml.errors import EXIT_OK
from gitml.project.checkout import Request, Result, checkout


@click.command(epilog="Example: gitml checkout data/raw — after git switch, bring the data of this commit.")
@click.argument("paths", nargs=-1, metavar="[PATH|STEP]...", shell_complete=complete_steps)
@click.option("-f", "--force", is_flag=True, help="Keep unsaved changes aside instead of refusing to replace them.")
@json_option
@quiet_option
def command(paths: tuple[str, ...], *, force: bool, as_json: bool, quiet: bool) -> int:
    """Make the worktree match what locks and pointers of sources record.

    PATH: an output, a source, a folder above several, or a path inside one. Without: all that is recorded.
    """
    with project_here() as project:
        results = checkout(project, Request(words=paths, cwd=os.getcwd(), force=force))
    if as_json:
        click.echo(json.dumps({"schema": "gitml-checkout/1", "targets": [_json(one) for one in results]}, indent=2))
    elif not quiet:
        for one in results:
            if one.problem is None:
                click.echo(_line(one))
    for one in results:
        if one.problem is not None:
            click.echo("\n".join(error_lines(one.problem.message, one.problem.hint)), err=True)
    return max((one.problem.exit_code for one in results if one.problem is not None), default=EXIT_OK)


def _line(one: Result) -> str:
    state, text = ("restored", f"restored  {size_text(one.entry.size)}") if one.changed else ("fresh", "unchanged")
    lines = [step_line(state, one.path, text, width=0, stream=sys.stdout)]
    lines += [f"    {printable(r.path)} was not in the cache; it is kept in {printable(r.kept)}" for r in one.rescued]
    return "\n".join(lines)


def _json(one: Result) -> dict[str, object]:
    return {"path": one.path, "changed": one.changed, "problem": None if one.problem is None else one.problem.message}
