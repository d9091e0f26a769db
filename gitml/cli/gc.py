"""`gitml gc`."""

from __future__ import annotations

import json
import os
import re
import time

import click

from gitml.cli.options import json_option, project_here, quiet_option
from gitml.cli.progress import progress
from gitml.cli.terminal import printable, size_text
from gitml.errors import EXIT_OK, UsageError
from gitml.project.gc import UNNAMED, Collected, Share, gc
from gitml.store.keep import Policy
from gitml.store.registry import forget

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_FORM = re.compile(r"(\d{1,9})([smhdw]?)\Z")


def _period(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """Read `30m`, `2h`, `14d` as seconds; only 0 needs no unit."""
    match = _FORM.match(value)
    if match is None or (not match[2] and int(match[1])):
        raise click.BadParameter(f"{value!r} is not a period such as 30m, 2h, 14d or 0")
    return float(int(match[1]) * _UNITS[match[2]])


@click.command(epilog="Example: gitml gc -n — see what would be freed; then gitml gc.")
@click.option("-n", "--dry-run", is_flag=True, help="Tell what would be deleted, and delete nothing.")
@click.option("--grace", callback=_period, default="14d", show_default=True, help="Keep all runs younger than this.")
@click.option("--keep-last", type=click.IntRange(min=0), default=0, metavar="N", help="Keep N good runs of each step.")
@click.option("--forget", "gone", metavar="PATH", help="Strike a repository off those that use the shared cache.")
@json_option
@quiet_option
def command(*, dry_run: bool, grace: float, keep_last: int, gone: str | None, as_json: bool, quiet: bool) -> int:
    """Delete from the cache what nothing needs.

    Kept is what any branch, tag, stash, index, worktree or young run names, in every repository that uses the cache.
    """
    with project_here() as project:
        if gone is not None:
            return _forget(project.store.objects.root, gone)
        policy = Policy(now=time.time(), grace=grace, keep_last=keep_last)
        with progress(quiet=quiet or as_json) as meter:
            found = gc(project, policy, dry_run=dry_run, meter=meter)
    if as_json:
        click.echo(json.dumps(_json(found, dry_run=dry_run), indent=2))
    elif not quiet:
        click.echo("\n".join(_lines(found, dry_run=dry_run)))
    return EXIT_OK


def _forget(cache: str, path: str) -> int:
    if not forget(cache, os.path.abspath(path)):
        raise UsageError(f"{path} is not among the repositories that use this cache", hint="name its .git folder")
    click.echo(f"{printable(path)} no longer counts: what only it needs goes with the next gitml gc", err=True)
    return EXIT_OK


def _lines(found: Collected, *, dry_run: bool) -> list[str]:
    """Give a row for each step, the largest first, and a sum."""
    total = found.total
    verb = "would free" if dry_run else "freed"
    rows = [(_name(step), *_counts(share)) for step, share in _by_size(found)]
    if found.leftovers.objects:
        rows.append(("(leftovers)", "", f"{found.leftovers.objects} files", size_text(found.leftovers.size)))
    if found.snapshots:
        rows.append(("(snapshots)", "", f"{found.snapshots} refs", ""))
    if not rows:
        return ["nothing to free"]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = []
    for name, *cells in rows:
        right = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        lines.append("  ".join((name.ljust(widths[0]), *right)).rstrip())
    return [*lines, f"{verb} {size_text(total.size)}: {', '.join(text for text in _counts(total)[:2] if text)}"]


def _by_size(found: Collected) -> list[tuple[str | None, Share]]:
    return sorted(found.steps.items(), key=lambda item: (-item[1].size, item[0] or ""))


def _name(step: str | None) -> str:
    return "(unnamed)" if step is UNNAMED else printable(step)


def _counts(share: Share) -> tuple[str, str, str]:
    runs = f"{share.runs} run{'s' if share.runs != 1 else ''}" if share.runs else ""
    return runs, f"{share.objects} object{'s' if share.objects != 1 else ''}", size_text(share.size)


def _json(found: Collected, *, dry_run: bool) -> dict[str, object]:
    total = found.total
    return {
        "schema": "gitml-gc/1",
        "dry_run": dry_run,
        "steps": [{"step": step, **_numbers(share)} for step, share in _by_size(found)],
        "leftovers": {"files": found.leftovers.objects, "size": found.leftovers.size},
        "snapshots": found.snapshots,
        "kept_runs": found.kept,
        **_numbers(total),
    }


def _numbers(share: Share) -> dict[str, object]:
    return {"runs": share.runs, "objects": share.objects, "size": share.size}
