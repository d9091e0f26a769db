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
from gitml.project.row import Row, SourceRow

_ORDER = ("fresh", "cached", "stale", "unknown", "conflicted")
_SOURCE_ORDER = ("clean", "changed", "missing")


@click.command(
    epilog="Example: gitml status train — is the training fresh, and if not, why? With --check the exit code is 3"
    " when anything is stale or unknown, or a source is changed or missing."
)
@steps_argument
@click.option(
    "--check", is_flag=True, help="Exit with 3 when a step is stale or unknown, or a source changed or missing."
)
@json_option
@quiet_option
def command(steps: tuple[str, ...], *, check: bool, as_json: bool, quiet: bool) -> int:
    """Show which steps are fresh, stale (with reasons) or unknown, and which sources changed. Writes nothing."""
    place = place_here()
    known = None if steps else confirmed(place, os.environ)
    if known is not None:
        rows = [Row(step=step, state="fresh", frozen=frozen) for step, frozen in known.steps]
        sources = [SourceRow(path=path, state="clean") for path in known.sources]
    else:
        from gitml.project.status import source_row, status

        with project_here(place) as project:
            report = status(project, steps)
        rows, sources = report.rows, [source_row(standing) for standing in report.sources]
    show_rows(rows, sources, as_json=as_json, quiet=quiet)
    is_stale = any(row.state != "fresh" for row in rows) or any(row.state != "clean" for row in sources)
    return EXIT_STALE if check and is_stale else EXIT_OK


def show_rows(rows: Sequence[Row], sources: Sequence[SourceRow] | None = None, *, as_json: bool, quiet: bool) -> int:
    """Print rows as lines or as one document; `sources` is None where they were not looked at."""
    if as_json:
        data: dict[str, object] = {"schema": "gitml-status/1", "steps": [_json(row) for row in rows]}
        if sources is not None:
            data["sources"] = [_source_json(row) for row in sources]
        click.echo(json.dumps(data, indent=2))
    elif not quiet:
        click.echo("\n".join(_lines(rows, sources or ())))
    return EXIT_OK


def _lines(rows: Sequence[Row], sources: Sequence[SourceRow]) -> list[str]:
    dirty = [row for row in sources if row.state != "clean"]
    if not rows and not sources:
        return ["no steps are declared"]
    width = name_width([*(row.step for row in rows), *(row.path for row in dirty)])
    lines = [step_line(row.state, row.step, _text(row), width=width, stream=sys.stdout) for row in rows]
    lines += [step_line(row.state, row.path, _source_text(row), width=width, stream=sys.stdout) for row in dirty]
    counts = Counter(row.state for row in rows)
    sums = [", ".join(f"{counts[state]} {state}" for state in _ORDER if counts[state])] if len(rows) > 1 else []
    if dirty or not rows:
        held = Counter(row.state for row in sources)
        sums.append("sources: " + ", ".join(f"{held[state]} {state}" for state in _SOURCE_ORDER if held[state]))
    return [*lines, *(["; ".join(sums)] if sums else [])]


def _source_text(row: SourceRow) -> str:
    from gitml.cli.sourcewords import changes_text, path_word

    if row.state == "missing":
        return f"missing  (gitml checkout {path_word(row.path)})"
    told = "  " + changes_text(row.changes) if row.changes is not None else ""
    return f"changed{told}  (gitml add {path_word(row.path)} records it)"


def _source_json(row: SourceRow) -> dict[str, object]:
    from gitml.cli.sourcewords import changes_json

    return {"path": row.path, "state": row.state, **changes_json(row.changes, clean=row.state == "clean")}


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
