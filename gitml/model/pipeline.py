"""All steps of a project and the graph between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gitml.model.source import SourceDeclaration
from gitml.model.step import Step
from gitml.model.value import Value


@dataclass(frozen=True, kw_only=True, slots=True)
class Pipeline:
    """A compiled declaration.

    `files`: the project files it was compiled from (the manifest first, then params files, then the environment), as
    paths relative to the project. `steps`: by id, in the order of declaration. `upstream`: for each id, the ids whose
    outputs it reads, sorted; `order`: for each id, the ids that must come first for `after` alone. The two together
    have no cycle. `packages`: for each package name that some step declares, its locked version and hashes.
    `sources`: the declared sources (those with a URL), by path.
    """

    files: tuple[str, ...]
    steps: Mapping[str, Step]
    upstream: Mapping[str, tuple[str, ...]]
    order: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    params: Mapping[str, Value] = field(default_factory=dict)
    roots: tuple[str, ...] = (".", "src")
    environment: str | None = None
    packages: Mapping[str, Value] = field(default_factory=dict)
    sources: Mapping[str, SourceDeclaration] = field(default_factory=dict)

    def before(self, step_id: str) -> tuple[str, ...]:
        """Name every step that must be done before `step_id` starts."""
        return self.upstream.get(step_id, ()) + self.order.get(step_id, ())

    def family(self, name: str) -> tuple[str, ...]:
        """Name the instances of a declared step (or the one id that was given), in order; empty when unknown."""
        if name in self.steps:
            return (name,)
        return tuple(step.id for step in self.steps.values() if step.name == name)

    def closure(self, targets: Iterable[str], *, downstream: bool = False) -> frozenset[str]:
        """Add to `targets` everything they need, or, with `downstream`, everything that needs them as well."""
        wanted = set(targets)
        if downstream:
            wanted |= _reach(wanted, self._after())
        return frozenset(wanted | _reach(wanted, {step_id: self.before(step_id) for step_id in self.steps}))

    def _after(self) -> dict[str, tuple[str, ...]]:
        below: dict[str, list[str]] = {step_id: [] for step_id in self.steps}
        for step_id in self.steps:
            for other in self.before(step_id):
                below[other].append(step_id)
        return {step_id: tuple(ids) for step_id, ids in below.items()}


def _reach(start: Iterable[str], edges: Mapping[str, tuple[str, ...]]) -> set[str]:
    seen: set[str] = set()
    waiting = list(start)
    while waiting:
        for other in edges[waiting.pop()]:
            if other not in seen:
                seen.add(other)
                waiting.append(other)
    return seen
