"""`gitml du`."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import click

from gitml.cli.options import json_option, project_here
from gitml.cli.progress import progress
from gitml.cli.terminal import printable, size_text
from gitml.errors import EXIT_OK
from gitml.project.du import AGES, DAY, Usage, usage
from gitml.store.keep import Policy
from gitml.store.usage import Amount

_GRACE = 14 * DAY
_ONLY_COPIES = "what is in quarantine/ of the cache may be an only copy, so gc leaves it: delete what nobody misses"
_AGE_WORDS = {"day": "last day", "week": "last week", "month": "last month", "older": "older"}


@click.command(epilog="Example: gitml du — then gitml gc to free what nothing needs.")
@json_option
def command(*, as_json: bool) -> int:
    """Show what fills the cache: by step and source, by age, and what gitml gc would free."""
    with project_here() as project, progress(quiet=as_json) as meter:
        found = usage(project, Policy(now=time.time(), grace=_GRACE), meter)
    click.echo(json.dumps(_json(found), indent=2) if as_json else "\n".join(_lines(found)))
    return EXIT_OK


def _lines(found: Usage) -> list[str]:
    rows = [("", "runs", "objects", "size", "unique")]
    for owner, part in sorted(found.parts.items(), key=lambda item: (-item[1].size, item[0])):
        name = printable(owner.name) + (" (source)" if owner.kind == "source" else "")
        runs = str(part.runs) if part.runs else ""
        rows.append((name, runs, f"{part.objects:,}", size_text(part.size), size_text(part.unique)))
    if found.unnamed.number:
        rows.append(("(unnamed)", "", *_cells(found.unnamed), ""))
    total = Amount(found.loose.number + found.packed.number, found.loose.size + found.packed.size)
    rows.append(("all", "", *_cells(total), ""))
    facts = [(_AGE_WORDS[name], *_cells(found.ages[name])) for name, _ in AGES if found.ages[name].number]
    facts += [("loose", *_cells(found.loose))]
    for name, amount in (("packs", found.packs), ("quarantine", found.quarantine), ("rescued", found.rescued)):
        if amount.number:
            facts.append((name, *_cells(amount)))
    freeable = found.freeable
    facts.append(("gc would free", f"{freeable.objects:,}", size_text(freeable.size)))
    notes = [_ONLY_COPIES] if found.quarantine.number else []
    return [*_table(rows), "", *_table(facts), *notes]


def _cells(amount: Amount) -> tuple[str, str]:
    return f"{amount.number:,}", size_text(amount.size)


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Lay rows out in columns, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *cells in rows:
        right = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        lines.append("  ".join((name.ljust(widths[0]), *right)).rstrip())
    return lines


def _json(found: Usage) -> dict[str, object]:
    owners = [
        {
            "kind": owner.kind,
            "name": owner.name,
            "runs": part.runs,
            "objects": part.objects,
            "size": part.size,
            "unique": part.unique,
        }
        for owner, part in sorted(found.parts.items())
    ]
    amounts = {name: getattr(found, name) for name in ("unnamed", "loose", "packed", "packs", "quarantine")}
    return {
        "schema": "gitml-du/1",
        "owners": owners,
        "ages": {name: _numbers(amount) for name, amount in found.ages.items()},
        **{name: _numbers(amount) for name, amount in amounts.items()},
        "temporary": _numbers(found.temporary),
        "rescued": _numbers(found.rescued),
        "freeable": {
            "runs": found.freeable.runs,
            "objects": found.freeable.objects,
            "size": found.freeable.size,
        },
    }


def _numbers(amount: Amount) -> dict[str, int]:
    return {"number": amount.number, "size": amount.size}
