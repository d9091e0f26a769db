"""`gitml add`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator

import click

from gitml.cli.options import json_option, project_here, quiet_option
from gitml.cli.progress import progress
from gitml.cli.sourcewords import changes_json, changes_lines, changes_text
from gitml.cli.terminal import printable, size_text, step_line
from gitml.errors import EXIT_OK
from gitml.model.tree import Kind
from gitml.model.url import shown_url
from gitml.project.add import Added, Typed, add

_MARKS = {"added": "recorded", "recorded": "recorded", "unchanged": "fresh"}


@click.command(
    epilog="Example: gitml add data/raw — then `git add .gitml` and commit: the commit names the data, the cache holds"
    " it. Call it again after a change to record the new version."
)
@click.argument("paths", nargs=-1, metavar="PATH...", type=click.Path())
@click.option("--glob", "globs", multiple=True, metavar="PATTERN", help="Add each path that matches as a source.")
@json_option
@quiet_option
def command(paths: tuple[str, ...], *, globs: tuple[str, ...], as_json: bool, quiet: bool) -> int:
    """Put raw data into the cache and record it as a source, or record its new version.

    PATH is a file or folder that neither Git nor a step owns. A path inside a source records that source anew.
    """
    if not paths and not globs:
        raise click.UsageError("name a file or folder, or a --glob")
    with project_here() as project, progress(quiet=quiet) as meter:
        found = add(project, Typed(cwd=os.getcwd(), paths=paths, globs=globs), meter)
    if as_json:
        click.echo(json.dumps({"schema": "gitml-add/1", "sources": [_json(one) for one in found]}, indent=2))
    elif not quiet:
        for one in found:
            click.echo("\n".join(_lines(one)))
    return EXIT_OK


def _lines(one: Added) -> Iterator[str]:
    files = f"{one.entry.files:,} files, " if one.entry.kind is Kind.DIRECTORY else ""
    told = f"{one.state}  {files}{size_text(one.entry.size)}"
    if one.state == "recorded":
        told = f"recorded  {changes_text(one.changes) if one.changes is not None else 'a new version'}"
    yield step_line(_MARKS[one.state], one.path, told, width=0, stream=sys.stdout)
    if one.state == "recorded" and one.changes is not None:
        yield from (f"    {line}" for line in changes_lines(one.changes, one.path))
    if one.inside:
        yield f"    {', '.join(map(printable, one.inside))} lies inside this source, which is recorded as a whole"
    if one.url is not None:
        yield f"    it is recorded as it stands here, no longer as downloaded from {printable(shown_url(one.url))}"


def _json(one: Added) -> dict[str, object]:
    return {
        "path": one.path,
        "state": one.state,
        "mode": one.entry.kind.value,
        "digest": str(one.entry.digest),
        "size": one.entry.size,
        "files": one.entry.files,
        "inside": list(one.inside),
        **changes_json(one.changes),
    }
