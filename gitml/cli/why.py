"""`gitml why`."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping

import click

from gitml.cli.options import json_option, project_here, steps_argument
from gitml.cli.terminal import printable, size_text, step_line
from gitml.cli.wording import chain_text, moment_text, run_text
from gitml.cli.words import reason_json, reason_text
from gitml.errors import EXIT_OK
from gitml.model.decision import PartChanged
from gitml.model.run import Run
from gitml.project.explain import Detail, Explanation, explain

_SHOWN = 10
_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_KINDS = {"command": "command", "code": "code", "param": "param", "env": "env", "package": "package", "input": "input"}


@click.command(epilog="Example: gitml why train — which file, parameter or input makes the training stale?")
@steps_argument
@json_option
def command(steps: tuple[str, ...], *, as_json: bool) -> int:
    """Explain why steps are stale, part by part: against the lock and against the nearest earlier run.

    Folder inputs are followed down to the file that changed, code to the import through which it was found. A fresh
    step says what it rests on. Without STEP, all that are not fresh.
    """
    with project_here() as project:
        found = explain(project, steps)
    if as_json:
        click.echo(json.dumps({"schema": "gitml-why/1", "steps": [_json(one) for one in found]}, indent=2))
    else:
        click.echo("\n\n".join("\n".join(_lines(one)) for one in found) or "every step is fresh")
    return EXIT_OK


def _lines(one: Explanation) -> list[str]:
    text = one.row.state + (" (frozen)" if one.row.frozen else "")
    lines = [step_line(one.row.state, one.row.step, text, width=0, stream=sys.stdout)]
    if one.renamed_from:
        lines.append(f"  counts as {printable(one.renamed_from)}, whose step is no longer declared")
    if one.row.state == "conflicted":
        lines.append("  its lock has the conflict markers of a merge; gitml repro resolves that")
    lines.extend(f"  {line}" for detail in one.details for line in _detail_lines(detail))
    if one.row.upstream:
        lines.append(f"  waits for {printable(', '.join(one.row.upstream))}")
    if one.row.state == "fresh":
        lines.extend(_rests_on(one.parts))
    if one.lock is not None:
        lines.append("  " + _recorded(one))
    if one.nearest is not None:
        lines.extend(_nearest(one))
    return lines


def _recorded(one: Explanation) -> str:
    assert one.lock is not None
    words = f"recorded: key {one.lock.key.short}"
    if one.recorded is not None:
        words += f", {run_text(one.recorded)}"
    return words + (f", accepted: {printable(one.lock.accepted)}" if one.lock.accepted is not None else "")


def _nearest(one: Explanation) -> list[str]:
    assert one.nearest is not None
    run = one.nearest.run
    if not one.nearest.details and one.row.state == "cached":
        return [f"  the same recipe ran before: {run_text(run)}; its outputs will be restored"]
    if one.lock is not None and run.key == one.lock.key:
        return ["  no earlier run is nearer than the recorded one"]
    lines = [f"  nearest earlier run: {run_text(run)}"]
    if not one.nearest.details:
        lines.append("    no difference in what is known now")
    lines.extend(f"    {line}" for detail in one.nearest.details for line in _detail_lines(detail))
    return lines


def _rests_on(parts: Mapping[str, object]) -> list[str]:
    names: dict[str, list[str]] = {}
    for part in parts:
        kind, _, name = part.partition(":")
        names.setdefault(kind, []).append(name)
    lines = ["  rests on"]
    for kind in _KINDS:
        if kind in names:
            shown = sorted(names[kind])[:_SHOWN]
            more = f" (+{len(names[kind]) - _SHOWN} more)" if len(names[kind]) > _SHOWN else ""
            lines.append(f"    {kind} {printable(', '.join(shown))}{more}".rstrip())
    return lines


def _detail_lines(detail: Detail) -> list[str]:
    reason = detail.reason
    if isinstance(reason, PartChanged) and reason.part == "command":
        return ["command changed", *_command_lines(reason)]
    if isinstance(reason, PartChanged) and reason.part.startswith("param:"):
        name = reason.part.removeprefix("param:")
        return [printable(f"param {name} {_plain(reason.before)} -> {_plain(reason.after)}")]
    if isinstance(reason, PartChanged) and reason.part.startswith("package:"):
        return [reason_text(reason), *_package_lines(reason.before, reason.after)]
    head = reason_text(reason)
    if detail.via:
        head += f"  ({chain_text(detail.via)})"
    return [head, *_folder_lines(detail)]


def _folder_lines(detail: Detail) -> list[str]:
    if not detail.was_folder:
        return []
    if detail.changes is None:
        return ["  (which files: not known, the record of the folder is no longer in the cache)"]
    rows, total = detail.changes.rows[:_SHOWN], detail.changes.total
    lines = [printable(f"  {_SIGNS[row.change]} {row.path}  {size_text(row.size)}") for row in rows]
    if total > len(rows):
        counts = Counter(row.change for row in detail.changes.rows)
        told = ", ".join(f"{count} {change}" for change, count in counts.items())
        first = "" if total == len(detail.changes.rows) else f" of the first {len(detail.changes.rows)}"
        lines.append(f"  … {total} in all ({told}{first})")
    return lines


def _command_lines(reason: PartChanged) -> list[str]:
    lines = []
    before = reason.before if isinstance(reason.before, dict) else {}
    after = reason.after if isinstance(reason.after, dict) else {}
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            lines.append(printable(f"  - {name}: {_plain(before.get(name))}"))
            lines.append(printable(f"  + {name}: {_plain(after.get(name))}"))
    return lines


def _package_lines(before: object, after: object) -> Iterable[str]:
    """Name the distributions of a closure that differ, with both versions."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        if one != other:
            old, new = (version["version"] if isinstance(version, dict) else "-" for version in (one, other))
            note = "  (other files of the same version)" if old == new else ""
            yield printable(f"  {name} {old} -> {new}{note}")


def _plain(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _json(one: Explanation) -> dict[str, object]:
    return {
        "step": one.row.step,
        "state": one.row.state,
        "frozen": one.row.frozen,
        "key": str(one.key),
        "reasons": [_detail_json(detail) for detail in one.details],
        "upstream": list(one.row.upstream),
        "renamed_from": one.renamed_from,
        "recorded": _recorded_json(one),
        "nearest": _nearest_json(one),
        "rests_on": dict(one.parts),
    }


def _recorded_json(one: Explanation) -> dict[str, object] | None:
    if one.lock is None:
        return None
    run = None if one.recorded is None else _run_json(one.recorded)
    return {"key": str(one.lock.key), "accepted": one.lock.accepted, "run": run}


def _nearest_json(one: Explanation) -> dict[str, object] | None:
    if one.nearest is None:
        return None
    return {
        "run": _run_json(one.nearest.run),
        "reasons": [_detail_json(detail) for detail in one.nearest.details],
    }


def _run_json(run: Run) -> dict[str, object]:
    return {
        "id": run.id,
        "step": run.step,
        "key": str(run.key),
        "snapshot": run.snapshot,
        "branch": run.branch,
        "started": run.started,
        "when": moment_text(run.started),
    }


def _detail_json(detail: Detail) -> dict[str, object]:
    data = reason_json(detail.reason)
    if detail.via:
        data["via"] = list(detail.via)
    if detail.was_folder:
        changes = detail.changes
        rows = [] if changes is None else [{"path": r.path, "change": r.change, "size": r.size} for r in changes.rows]
        data["paths"] = None if changes is None else {"total": changes.total, "changes": rows}
    return data
