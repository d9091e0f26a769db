"""`gitml lint`."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence

import click

from gitml.cli.options import json_option, project_here, steps_argument
from gitml.cli.terminal import printable, use_colour
from gitml.errors import EXIT_FAILED, EXIT_OK
from gitml.project.finding import Finding
from gitml.project.lint import lint

_COLOURS = {"warning": "yellow", "info": "cyan"}
_SHOWN = 3


@click.command(epilog="Example: gitml lint && git commit — commit only what nothing looks wrong in.")
@steps_argument
@json_option
def command(steps: tuple[str, ...], *, as_json: bool) -> int:
    """Show what is allowed but looks wrong: imports that cannot be followed, files that nobody declared, loose ends.

    The exit code is 1 when there is a warning; findings marked `info` do not count.
    """
    with project_here() as project:
        found = lint(project, steps)
    if as_json:
        data = {"schema": "gitml-lint/1", "findings": [dataclasses.asdict(one) for one in found]}
        click.echo(json.dumps(data, indent=2))
    else:
        click.echo("\n".join(_lines(found)))
    return EXIT_FAILED if any(one.severity == "warning" for one in found) else EXIT_OK


def _lines(found: Sequence[Finding]) -> Iterator[str]:
    colour = use_colour(sys.stdout)
    for one in found:
        mark = click.style(one.severity, fg=_COLOURS[one.severity]) if colour else one.severity
        told = f"{one.message} [{one.rule}]{_steps(one.steps)}"
        yield f"{printable(one.file)}:{one.line}:{one.column}: {mark}: {printable(told)}"
        yield f"    {printable(one.hint)}"
    counts = Counter(one.severity for one in found)
    warnings = f"{counts['warning']} warning{'s' if counts['warning'] > 1 else ''}"
    sums = [warnings if counts["warning"] else "", f"{counts['info']} info" if counts["info"] else ""]
    yield ", ".join(text for text in sums if text) or "nothing looks wrong"


def _steps(steps: Sequence[str]) -> str:
    more = f" and {len(steps) - _SHOWN} more" if len(steps) > _SHOWN else ""
    return f" in {', '.join(steps[:_SHOWN])}{more}" if len(steps) > 1 else ""
