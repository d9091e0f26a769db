"""`gitml update`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator

import click

from gitml.cli.options import json_option, project_here, quiet_option
from gitml.cli.progress import ProgressLine, progress
from gitml.cli.terminal import error_lines, printable, size_text, step_line
from gitml.errors import EXIT_OK
from gitml.model.url import shown_url
from gitml.project.update import Request, Updated, look, update

_WORDS = {"new": "fetched", "newer": "updated", "unchanged": "up to date"}
_OUTLOOK = {"new": "would be fetched", "newer": "is newer there", "unchanged": "up to date", "unknown": "may be newer"}
_MARKS = {"new": "stale", "newer": "stale", "unchanged": "fresh", "unknown": "unknown"}


@click.command(
    epilog="Example: gitml update data/raw.csv — fetch it if the server has a newer version; then commit .gitml."
)
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path())
@click.option("-n", "--dry-run", is_flag=True, help="Ask what is newer; download nothing.")
@click.option("-f", "--force", is_flag=True, help="Keep unsaved changes aside instead of refusing to replace them.")
@json_option
@quiet_option
def command(paths: tuple[str, ...], *, dry_run: bool, force: bool, as_json: bool, quiet: bool) -> int:
    """Download the sources that are declared with a URL, where the server has something newer than what is recorded.

    PATH: a declared source, or a folder above several. Without: all.
    """
    request = Request(words=paths, cwd=os.getcwd(), force=force)
    with project_here() as project, progress(quiet=quiet or as_json) as meter:
        rows = []
        for row in look(project, request, meter) if dry_run else update(project, request, meter):
            rows.append(row)
            if isinstance(meter, ProgressLine):
                meter.erase()
            if row.problem is not None:
                click.echo("\n".join(error_lines(row.problem.message, row.problem.hint)), err=True)
            elif not (quiet or as_json):
                click.echo("\n".join(_lines(row)))
    if as_json:
        document = {"schema": "gitml-update/1", "dry_run": dry_run, "sources": [_json(row) for row in rows]}
        click.echo(json.dumps(document, indent=2))
    elif not (rows or quiet):
        click.echo('no source is declared with a url: [source."PATH"] in gitml.toml does')
    return max((row.problem.exit_code for row in rows if row.problem is not None), default=EXIT_OK)


def _lines(row: Updated) -> Iterator[str]:
    if row.fetched is None:
        yield step_line(_MARKS[row.state or ""], row.source.path, _OUTLOOK[row.state or ""], width=0, stream=sys.stdout)
        return
    fetched = row.fetched
    told = "restored" if fetched.restored else _WORDS[fetched.state]
    size = "" if told == _WORDS["unchanged"] else f"  {size_text(fetched.entry.size)}"
    mark = "fresh" if told == _WORDS["unchanged"] else "restored"
    yield step_line(mark, fetched.path, told + size, width=0, stream=sys.stdout)
    for rescued in fetched.rescued:
        yield f"    what stood there was recorded nowhere; it is kept in {printable(rescued.kept)}"


def _json(row: Updated) -> dict[str, object]:
    fetched = row.fetched
    state = row.state or "failed"
    found: dict[str, object] = {"path": row.source.path, "url": shown_url(row.source.url), "state": state}
    if row.problem is not None:
        found["error"] = {"message": row.problem.message, "hint": row.problem.hint, "exit": row.problem.exit_code}
    if fetched is not None:
        found["digest"] = fetched.entry.digest
        found["size"] = fetched.entry.size
        found["restored"] = fetched.restored
        found["rescued"] = [rescued.kept for rescued in fetched.rescued]
    return found
