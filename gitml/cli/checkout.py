"""`gitml checkout`."""

from __future__ import annotations

import json
import os
import sys

import click

from gitml.cli.options import complete_steps, json_option, project_here, quiet_option
from gitml.cli.progress import progress
from gitml.cli.terminal import error_lines, printable, size_text, step_line
from gitml.engine.checkout import LackingError, UnsavedError
from gitml.errors import EXIT_OK
from gitml.project.checkout import Request, Result, checkout


@click.command(
    epilog="Example: gitml checkout data/raw — after git switch, bring the data of this commit. An edit that the cache"
    " does not have is never overwritten: it is refused, or with --force put aside."
)
@click.argument("paths", nargs=-1, metavar="[PATH|STEP]...", shell_complete=complete_steps)
@click.option("-f", "--force", is_flag=True, help="Put unsaved changes aside instead of refusing to replace them.")
@click.option("--relink", is_flag=True, help="Write long files again by the kind of link that cache.link prefers.")
@json_option
@quiet_option
def command(paths: tuple[str, ...], *, force: bool, relink: bool, as_json: bool, quiet: bool) -> int:
    """Make the worktree match what locks and pointers of sources record.

    PATH: an output, a source, a folder above several, or a path inside one. Without: all that is recorded. Only what
    differs is touched.
    """
    request = Request(words=paths, cwd=os.getcwd(), force=force, relink=relink)
    with project_here() as project, progress(quiet=quiet or as_json) as meter:
        results = checkout(project, request, meter)
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
    done = one.done
    parts = [f"{done.written:,} written"] if done.written else []
    parts += [f"{done.removed:,} removed"] if done.removed else []
    parts += [f"{one.relinked:,} relinked"] if one.relinked else []
    size = size_text(one.entry.size) if one.entry is not None and parts else ""
    text = f"checked out  {', '.join(parts)}  {size}".rstrip() if parts else "unchanged"
    lines = [step_line("restored" if parts else "fresh", one.path, text, width=0, stream=sys.stdout)]
    lines += [f"    {printable(r.path)} was not in the cache; it is kept in {printable(r.kept)}" for r in done.kept]
    return "\n".join(lines)


def _json(one: Result) -> dict[str, object]:
    lacking = one.problem.lacking if isinstance(one.problem, LackingError) else ()
    return {
        "path": one.path,
        "written": one.done.written,
        "removed": one.done.removed,
        "relinked": one.relinked,
        "kept": [{"path": kept.path, "kept": kept.kept} for kept in one.done.kept],
        "problem": None if one.problem is None else one.problem.message,
        "lacking": [{"path": path, "digest": str(digest)} for path, digest in lacking],
        "unsaved": list(one.problem.paths) if isinstance(one.problem, UnsavedError) else [],
    }
