"""A drawing of the pipeline as a text tree, as Mermaid and as DOT."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from gitml.cli.terminal import glyph, printable
from gitml.project.draw import Drawing, Node

_WORST = ("conflicted", "stale", "unknown", "cached", "fresh")
_COLOURS = {"fresh": "#d3f9d8", "cached": "#c5f6fa", "stale": "#fff3bf", "unknown": "#eebefa", "conflicted": "#ffc9c9"}
_PLAIN = frozenset(" _-.@=,+/:()")


def tree_lines(drawing: Drawing) -> Iterator[str]:
    """Draw what each result needs, results first.

    That way round because a step has one result and many needs: `cargo tree` and `make -n` read the same way. What was
    drawn above already is marked `(*)` and not drawn again, so that the tree is no longer than the graph.
    """
    seen: set[str] = set()
    for end in [*drawing.ends(), *reversed([*drawing.nodes])]:  # families that need one another have no end
        if end not in seen:
            yield from _tree(drawing, end, seen)


@dataclass(frozen=True, slots=True)
class _Branch:
    """A node to draw: what stands before it, what stands before all below it, and whether it is only waited for."""

    name: str
    head: str = ""
    below: str = ""
    only_after: bool = False


def _tree(drawing: Drawing, end: str, seen: set[str]) -> Iterator[str]:
    bars, gaps = _bars()
    waiting = [_Branch(end)]
    while waiting:
        branch = waiting.pop()
        needs = drawing.before(branch.name)
        again = branch.name in seen and bool(needs)
        marks = ("  (after only)" if branch.only_after else "") + ("  (*)" if again else "")
        yield f"{branch.head}{_label(drawing.nodes[branch.name])}{marks}"
        if again:
            continue
        seen.add(branch.name)
        for index in reversed(range(len(needs))):
            last = index == len(needs) - 1
            only = needs[index] in drawing.after[branch.name]
            waiting.append(_Branch(needs[index], branch.below + bars[last], branch.below + gaps[last], only))


def mermaid_lines(drawing: Drawing) -> Iterator[str]:
    """Write a Mermaid flowchart; dotted arrows are order alone."""
    ids = {name: f"s{number}" for number, name in enumerate(drawing.nodes)}
    yield "flowchart LR"
    for name, node in drawing.nodes.items():
        yield f'    {ids[name]}["{_mermaid(_title(node))}"]'
    for name in drawing.nodes:
        yield from (f"    {ids[need]} --> {ids[name]}" for need in drawing.needs[name])
        yield from (f"    {ids[need]} -.-> {ids[name]}" for need in drawing.after[name])
    present = [state for state in _WORST if any(_state(node) == state for node in drawing.nodes.values())]
    for state in present:
        members = ",".join(ids[name] for name, node in drawing.nodes.items() if _state(node) == state)
        yield f"    classDef {state} fill:{_COLOURS[state]}"
        yield f"    class {members} {state}"


def dot_lines(drawing: Drawing) -> Iterator[str]:
    """Write a Graphviz digraph; dashed arrows are order alone."""
    yield "digraph gitml {"
    yield "    rankdir=LR;"
    yield "    node [shape=box];"
    for name, node in drawing.nodes.items():
        state = _state(node)
        colour = f', style=filled, fillcolor="{_COLOURS[state]}"' if state else ""
        yield f"    {_quoted(name)} [label={_quoted(_title(node))}{colour}];"
    for name in drawing.nodes:
        yield from (f"    {_quoted(need)} -> {_quoted(name)};" for need in drawing.needs[name])
        yield from (f"    {_quoted(need)} -> {_quoted(name)} [style=dashed];" for need in drawing.after[name])
    yield "}"


def _bars() -> tuple[tuple[str, str], tuple[str, str]]:
    try:
        "├└│─".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ("|-- ", "`-- "), ("|   ", "    ")
    return ("├── ", "└── "), ("│   ", "    ")


def _label(node: Node) -> str:
    state = _state(node)
    mark = f"{glyph(state, sys.stdout)} " if state else ""
    counts = f"  {', '.join(f'{node.states[s]} {s}' for s in _WORST if s in node.states)}" if node.is_family else ""
    told = counts if state and node.is_family else f"  {state}" if state else ""
    return f"{mark}{printable(_title(node))}{told}"


def _title(node: Node) -> str:
    return f"{node.name} ({node.count})" if node.is_family else node.name


def _state(node: Node) -> str | None:
    """Give the state of a node: of a family, the one that most needs attention."""
    return next((state for state in _WORST if state in node.states), None)


def _mermaid(text: str) -> str:
    """Write all but plain characters as entities: a label may hold what Mermaid or HTML would read."""
    return "".join(c if c.isalnum() or c in _PLAIN else f"#{ord(c)};" for c in text)


def _quoted(text: str) -> str:
    return '"' + printable(text).replace("\\", "\\\\").replace('"', '\\"') + '"'
