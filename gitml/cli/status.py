"""`gitml status`."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Sequence

import click

from gitml.cli.options import json_option, place_here, project_here, quiet_option, steps_argument
from gitml.cli.terminal import name_width, step_line
from gitml.errors import EXIT_OK, EXIT_STALE
from gitml.project.quick import confirmed
from gitml.project.row import Row

_ORDER = ("fresh", "cached", "stale", "unknown", "conflicted")


@click.command(
    epilog="Example: gitml status train — is the training fresh, and if not, why? With --check the exit code is 3"
    " when anything is stale or unknown."
)
@steps_argument
@click.option("--check", is_flag=True, help="Exit with 3 when a step is stale or unknown.")
@json_option
@quiet_option
def command(steps: tuple[str, ...], *, check: bool, as_json: bool, quiet: bool) -> int:
    """Show which steps are fresh, stale (with reasons) or unknown. Runs nothing and writes nothing."""
    place = place_here()
    known = None if steps else confirmed(place, os.environ)
    if known is not None:
        rows = [Row(step=step, state="fresh", frozen=frozen) for step, frozen in known]
    else:
        from gitml.project.status import status

        with project_here(place) as project:
            rows = status(project, steps)
    show_rows(rows, as_json=as_json, quiet=quiet)
    return EXIT_STALE if check and any(row.state != "fresh" for row in rows) else EXIT_OK


def show_rows(rows: Sequence[Row], *, as_json: bool, quiet: bool) -> int:
    """Print rows as lines or as one document."""
    if as_json:
        click.echo(json.dumps({"schema": "gitml-status/1", "steps": [_json(row) for row in rows]}, indent=2))
    elif not quiet:
        click.echo("\n".join(_lines(rows)))
    return EXIT_OK


def _lines(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return ["no steps are declared"]
    width = name_width(row.step for row in rows)
    lines = [step_line(row.state, row.step, _text(row), width=width, stream=sys.stdout) for row in rows]
    counts = Counter(row.state for row in rows)
    if len(counts) > 1 or len(rows) > 1:
        lines.append(", ".join(f"{counts[state]} {state}" for state in _ORDER if counts[state]))
    return lines


def _text(row: Row) -> str:
    parts = [row.state]
    if row.frozen:
        parts.append("(frozen)")
    if row.state == "cached":
        parts.append("(will be restored)")
    if row.state == "conflicted":
        parts.append(" a merge left conflict markers in its lock: gitml repro resolves that")
    elif row.reasons:
        from gitml.cli.words import reasons_text

        parts.append(" " + reasons_text(row.reasons))
    if row.upstream:
        parts.append(" waits for " + ", ".join(row.upstream[:3]))
    if row.drift:
        changed = [f"{name} {old} -> {new}" for name, (old, new) in sorted(row.drift.items())]
        more = f" (+{len(changed) - 3} more)" if len(changed) > 3 else ""
        parts.append(" drift: " + ", ".join(changed[:3]) + more)
    return " ".join(parts)


def _json(row: Row) -> dict[str, object]:
    from gitml.cli.words import reason_json

    return {
        "step": row.step,
        "state": row.state,
        "frozen": row.frozen,
        "reasons": [reason_json(reason) for reason in row.reasons],
        "upstream": list(row.upstream),
        "drift": {name: {"recorded": old, "installed": new} for name, (old, new) in row.drift.items()},
    }
