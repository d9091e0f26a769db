"""`gitml verify`."""

from __future__ import annotations

import json
import os
import re

import click

from gitml.cli.options import json_option, project_here, quiet_option
from gitml.cli.terminal import printable, size_text
from gitml.errors import EXIT_DAMAGED, EXIT_OK
from gitml.hashing.meter import SILENT
from gitml.project.verify import Damage, Report, verify
from gitml.store.verify import Sample

_SAMPLE = re.compile(r"([0-9]+(?:\.[0-9]+)?)%|([0-9]+)")


def _part(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int | None, float] | None:
    """Read `10%` or a number of objects: the number, or the part."""
    if value is None:
        return None
    match = _SAMPLE.fullmatch(value)
    if match is None or float(match[1] or match[2]) == 0 or float(match[1] or 0) > 100:
        raise click.BadParameter(f"{value!r} is neither a percentage nor a number of objects", ctx, param)
    return (int(match[2]), 1.0) if match[2] else (None, float(match[1]) / 100)


@click.command(epilog="Example: gitml verify --sample 5% — a quick look, each time at other objects.")
@click.option("--sample", callback=_part, metavar="10%|N", help="Look at a random part or number of objects.")
@click.option("--seed", metavar="TEXT", help="Choose the same sample as the call that named this seed.")
@click.option("--repair", is_flag=True, help="Put copies of damaged objects back from worktrees and URLs.")
@json_option
@quiet_option
def command(
    *, sample: tuple[int | None, float] | None, seed: str | None, repair: bool, as_json: bool, quiet: bool
) -> int:
    """Prove that all objects of the cache have the bytes that their names say."""
    chosen = None if sample is None else Sample(*sample, seed=seed or os.urandom(4).hex())
    with project_here() as project:
        report = verify(project, sample=chosen, repair=repair, meter=SILENT)
    if as_json:
        click.echo(json.dumps(_json(report, chosen), indent=2))
    elif not quiet or not report.whole:
        click.echo("\n".join(_lines(report, chosen)))
    return EXIT_OK if report.whole else EXIT_DAMAGED


def _lines(report: Report, sample: Sample | None) -> list[str]:
    checked = report.checked
    lines = [_damage(one) for one in report.damaged]
    chosen = f" (a sample, seed {printable(str(sample.seed))})" if sample is not None else ""
    text = f"{checked.right} objects are whole, {size_text(checked.size)} read{chosen}"
    return [*lines, text + (f"; {len(report.damaged)} damaged" if report.damaged else "")]


def _damage(one: Damage) -> str:
    kept = f"; kept in {printable(one.kept)}" if one.kept is not None else ""
    return f"{printable(one.finding.path)}: {one.finding.fault.value}, {printable(one.finding.detail)}{kept}"


def _json(report: Report, sample: Sample | None) -> dict[str, object]:
    return {
        "schema": "gitml-verify/1",
        "objects": report.checked.right,
        "bytes": report.checked.size,
        "seed": None if sample is None else str(sample.seed),
        "damaged": [
            {"digest": one.finding.digest, "path": one.finding.path, "fault": one.finding.fault.value, "kept": one.kept}
            for one in report.damaged
        ],
    }
