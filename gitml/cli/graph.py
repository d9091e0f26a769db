"""`gitml graph`."""

from __future__ import annotations

import json

import click

from gitml.cli.drawings import dot_lines, mermaid_lines, tree_lines
from gitml.cli.options import json_option, project_here, steps_argument
from gitml.errors import EXIT_OK, UsageError
from gitml.project.draw import Drawing, draw


@click.command(
    epilog="Examples: gitml graph report — what the report needs. gitml graph --mermaid >> README.md — a picture for"
    " the forge. gitml graph --dot | dot -Tsvg > graph.svg"
)
@steps_argument
@click.option("--mermaid", is_flag=True, help="Write a Mermaid flowchart.")
@click.option("--dot", is_flag=True, help="Write a Graphviz digraph.")
@click.option("--instances", is_flag=True, help="Draw each instance of a matrix, not its family with a count.")
@click.option("--status", is_flag=True, help="Judge the steps and mark what is fresh, stale or unknown.")
@json_option
def command(steps: tuple[str, ...], *, mermaid: bool, dot: bool, instances: bool, status: bool, as_json: bool) -> int:
    """Draw the pipeline as a tree, results first: below each step stands what it needs.

    With STEP, that step and all it needs. `(*)`: drawn above already.
    """
    if mermaid + dot + as_json > 1:
        raise UsageError("--mermaid, --dot and --json exclude each other", hint="choose one")
    with project_here() as project:
        drawing = draw(project, steps, instances=instances, states=status)
    if as_json:
        click.echo(json.dumps(_json(drawing), indent=2))
    else:
        lines = mermaid_lines(drawing) if mermaid else dot_lines(drawing) if dot else tree_lines(drawing)
        click.echo("\n".join(lines) or "no steps are declared")
    return EXIT_OK


def _json(drawing: Drawing) -> dict[str, object]:
    return {
        "schema": "gitml-graph/1",
        "nodes": [
            {
                "name": node.name,
                "instances": node.count if node.is_family else None,
                "states": dict(node.states),
                "needs": list(drawing.needs[node.name]),
                "after": list(drawing.after[node.name]),
            }
            for node in drawing.nodes.values()
        ],
    }
