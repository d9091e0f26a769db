"""`gitml verify`."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Sequence

import click

from gitml.cli.options import json_option, project_here, quiet_option
from gitml.cli.progress import progress
from gitml.cli.terminal import error_lines, glyph, printable, size_text
from gitml.errors import EXIT_DAMAGED, EXIT_OK
from gitml.project.needs import Need
from gitml.project.verify import Loss, Report, verify
from gitml.store.rehash import Fault
from gitml.store.verify import Sample

_SAMPLE = re.compile(r"([0-9]+(?:\.[0-9]+)?)%|([0-9]+)")
_PLACES = 3
_MISSING = 20


def _part(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int | None, float] | None:
    """Read `10%` or a number of objects: the number, or the part."""
    if value is None:
        return None
    match = _SAMPLE.fullmatch(value)
    if match is None or float(match[1] or match[2]) == 0 or float(match[1] or 0) > 100:
        raise click.BadParameter(f"{value!r} is neither a percentage nor a number of objects", ctx, param)
    return (int(match[2]), 1.0) if match[2] else (None, float(match[1]) / 100)


@click.command(
    epilog="Example: gitml verify --sample 5% — a quick look, at other objects each time. The exit code is 5 when"
    " anything is damaged and was not repaired."
)
@click.option("--sample", callback=_part, metavar="10%|N", help="Look at a random part or number of objects.")
@click.option("--seed", metavar="TEXT", help="Look at the same sample as the call that named this seed.")
@click.option(
    "--repair", is_flag=True, help="Put copies that worktrees and publishers have in the place of what is lost."
)
@json_option
@quiet_option
def command(
    *, sample: tuple[int | None, float] | None, seed: str | None, repair: bool, as_json: bool, quiet: bool
) -> int:
    """Prove that every object of the cache has the bytes that its name says.

    What is damaged is moved to the quarantine, and named with all that needs it.
    """
    chosen = None if sample is None else Sample(*sample, seed=seed or os.urandom(4).hex())
    with project_here() as project, progress(quiet=quiet) as meter:
        report = verify(project, sample=chosen, repair=repair, meter=meter)
    if as_json:
        click.echo(json.dumps(_json(report, chosen), indent=2))
    elif not quiet or not report.whole:
        click.echo("\n".join(_lines(report, chosen)))
    if report.unread is not None:
        said = f"not all that may need these objects could be read: {report.unread.message}"
        click.echo("\n".join(error_lines(said, report.unread.hint)), err=True)
    for error in report.refused:
        click.echo("\n".join(error_lines(error.message, error.hint)), err=True)
    return EXIT_OK if report.whole else EXIT_DAMAGED


def _lines(report: Report, sample: Sample | None) -> Iterator[str]:
    for loss in report.damaged:
        yield from _loss(loss)
    for loss in report.missing[:_MISSING]:
        yield from _loss(loss)
    if len(report.missing) > _MISSING:
        yield f"(+{len(report.missing) - _MISSING} more are missing: --json)"
    for finding in report.checked.findings:
        if finding.fault is Fault.STRAY:
            yield f"{glyph('unknown', sys.stdout)} {printable(finding.path)}  is no object; it is left where it is"
    if report.checked.leftovers:
        yield f"{len(report.checked.leftovers)} files in tmp/ are of commands that run now or were killed (gitml gc)"
    yield _summary(report, sample)


def _summary(report: Report, sample: Sample | None) -> str:
    checked = report.checked
    text = f"{checked.right} {'object is' if checked.right == 1 else 'objects are'} whole"
    text += f", {size_text(checked.size)} read"
    if sample is not None:
        text += f" (a sample, --seed {printable(str(sample.seed))})"
    for name, losses in (("damaged", report.damaged), ("missing", report.missing)):
        restored = sum(loss.restored is not None for loss in losses)
        text += f"; {len(losses)} {name}" if losses else ""
        text += f" ({restored} restored)" if restored else ""
    return text


def _loss(loss: Loss) -> Iterator[str]:
    """Say what is lost, who needs it, where the wrong bytes are and how to get the right ones."""
    state = "restored" if loss.restored is not None else "failed" if loss.finding is not None else "unknown"
    name = loss.digest.short if loss.digest is not None else loss.finding.path if loss.finding is not None else ""
    yield f"{glyph(state, sys.stdout)} {name}  {_what(loss)}"
    if loss.digest is not None:
        yield from _places(loss.needs)
    if loss.kept is not None:
        yield f"    its bytes are kept in {printable(loss.kept)}"
    for path in loss.shared:
        yield f"    {printable(path)} is that very file: it was changed in place, and the change is kept there"
    if loss.restored is not None:
        yield f"    restored from {printable(loss.restored)}"
    elif loss.needs:
        first = loss.needs[0]
        try_repair = "gitml verify --repair, if there is a copy; or " if first.holder.base is not None else ""
        yield f"    hint: {try_repair}{printable(first.remedy)}"
    elif loss.digest is not None:
        yield "    nothing that is known here needs it"


def _what(loss: Loss) -> str:
    if loss.finding is not None:
        return f"{loss.finding.fault.value}: {printable(loss.finding.detail)}"
    lack = loss.needs[0].lack
    return f"has not the {lack.size} bytes that are recorded" if lack.present else "missing"


def _places(needs: Sequence[Need]) -> Iterator[str]:
    places: dict[tuple[str, str], list[str]] = {}
    for need in needs:
        places.setdefault((_path(need), _owner(need)), []).append(need.holder.where)
    for (path, owner), wheres in list(places.items())[:_PLACES]:
        more = f" (+{len(wheres) - _PLACES} more)" if len(wheres) > _PLACES else ""
        yield printable(f"    {path} of {owner} at {', '.join(wheres[:_PLACES])}{more}")
    if len(places) > _PLACES:
        yield f"    (+{len(places) - _PLACES} more paths: --json)"


def _path(need: Need) -> str:
    return f"{need.holder.folder}/{need.path}" if need.holder.folder else need.path


def _owner(need: Need) -> str:
    return f"step {need.holder.owner}" if need.holder.owner is not None else f"source {need.output}"


def _json(report: Report, sample: Sample | None) -> dict[str, object]:
    return {
        "schema": "gitml-verify/1",
        "objects": report.checked.right,
        "bytes": report.checked.size,
        "seed": None if sample is None else str(sample.seed),
        "damaged": [_loss_json(loss) for loss in report.damaged],
        "missing": [_loss_json(loss) for loss in report.missing],
        "strays": [finding.path for finding in report.checked.findings if finding.fault is Fault.STRAY],
        "leftovers": list(report.checked.leftovers),
        "unread": None if report.unread is None else report.unread.message,
    }


def _loss_json(loss: Loss) -> dict[str, object]:
    finding = loss.finding
    return {
        "digest": loss.digest,
        "fault": None if finding is None else finding.fault.value,
        "detail": None if finding is None else finding.detail,
        "file": None if finding is None else finding.path,
        "kept": loss.kept,
        "shared": list(loss.shared),
        "restored": loss.restored,
        "needs": [
            {"where": need.holder.where, "step": need.holder.owner, "path": _path(need), "remedy": need.remedy}
            for need in loss.needs
        ],
    }
