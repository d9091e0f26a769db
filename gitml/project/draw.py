"""The pipeline as a graph to draw: one node per step or per instance, and what needs what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gitml.model.pipeline import Pipeline
from gitml.project.examine import examine
from gitml.project.project import Project
from gitml.project.select import named_steps
from gitml.project.status import row_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A step, an instance, or a family of `count` instances. `states`: how many of them are in which state."""

    name: str
    count: int
    is_family: bool
    states: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawing:
    """Nodes by name, upstream first. `needs`: the nodes whose outputs each reads; `after`: those it only waits for."""

    nodes: Mapping[str, Node]
    needs: Mapping[str, tuple[str, ...]]
    after: Mapping[str, tuple[str, ...]]

    def before(self, name: str) -> tuple[str, ...]:
        """Name all that comes before a node."""
        return self.needs[name] + self.after[name]

    def ends(self) -> list[str]:
        """Name the nodes that nothing waits for."""
        awaited = {name for node in self.nodes for name in self.before(node)}
        return [name for name in self.nodes if name not in awaited]


def draw(project: Project, names: Sequence[str], *, instances: bool, states: bool) -> Drawing:
    """Draw the named steps and all they need, or all steps.

    With `states`, the steps are judged; without, only the declaration is read.

    Raises:
        GitmlError: The declaration is not valid; with `states`, also a lock or the code.
    """
    if states:
        examined = examine(project, names)
        found = {step_id: row_of(step_id, one, {}).state for step_id, one in examined.judgements.items()}
        return _drawing(examined.pipeline, found, found, instances=instances)
    pipeline = project.pipeline()
    wanted = pipeline.closure(named_steps(pipeline, names)) if names else frozenset(pipeline.steps)
    return _drawing(pipeline, [step_id for step_id in pipeline.steps if step_id in wanted], {}, instances=instances)


def _drawing(pipeline: Pipeline, ids: Iterable[str], states: Mapping[str, str], *, instances: bool) -> Drawing:
    shown = {step_id: step_id if instances else pipeline.steps[step_id].name for step_id in ids}
    members: dict[str, list[str]] = {}
    for step_id, name in shown.items():
        members.setdefault(name, []).append(step_id)
    needs = {name: _edges(pipeline.upstream, inside, shown, name) for name, inside in members.items()}
    after = {name: _edges(pipeline.order, inside, shown, name) for name, inside in members.items()}
    nodes = {name: _node(name, inside, states, pipeline, instances=instances) for name, inside in members.items()}
    only_after = {name: tuple(a for a in rest if a not in needs[name]) for name, rest in after.items()}
    return Drawing(nodes=nodes, needs=needs, after=only_after)


def _edges(
    edges: Mapping[str, Sequence[str]], inside: Iterable[str], shown: Mapping[str, str], name: str
) -> tuple[str, ...]:
    """Collect where the edges of some steps lead, in drawn names; instances of a family may need one another."""
    targets = (shown[above] for step_id in inside for above in edges.get(step_id, ()) if above in shown)
    return tuple(target for target in dict.fromkeys(targets) if target != name)


def _node(name: str, inside: Sequence[str], states: Mapping[str, str], pipeline: Pipeline, *, instances: bool) -> Node:
    counts: dict[str, int] = {}
    for step_id in inside:
        if step_id in states:
            counts[states[step_id]] = counts.get(states[step_id], 0) + 1
    is_family = not instances and pipeline.steps[inside[0]].instance is not None
    return Node(name=name, count=len(inside), is_family=is_family, states=counts)
