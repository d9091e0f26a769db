"""Who makes what, and what must come first: edges from declared paths, and the rules that keep the graph sound.

Paths are looked up, never compared with each other in pairs: an output is found by its own text, by the folders it
lies in, or, for a glob, in a sorted list by the characters before the first star. So the cost grows with the number of
declared paths and of edges.
"""

from __future__ import annotations

import itertools
import posixpath
import unicodedata
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from gitml.manifest.problems import Fault, nearest
from gitml.manifest.steps import Instance
from gitml.model.glob import compile_glob, compile_holder, literal_prefix
from gitml.model.path import is_glob, is_within, parents
from gitml.model.step import Step

if TYPE_CHECKING:
    from gitml.manifest.positions import Path

_AFTER_EVERY_PATH = "\U0010ffff"


class Graph(NamedTuple):
    """`upstream` by what is read, `order` by `after` alone; both by id, with sorted ids."""

    upstream: Mapping[str, tuple[str, ...]]
    order: Mapping[str, tuple[str, ...]]
    after: Mapping[str, tuple[str, ...]]


class _Made(NamedTuple):
    """An output, who makes it and where that is declared."""

    path: str
    step: str
    at: Path


def connect(instances: Sequence[Instance], names: Iterable[str], faults: list[Fault]) -> Graph:
    """Find the edges; what is wrong goes to `faults`. `names` are all declared steps, also those that are faulty."""
    owners = Owners(instances, faults)
    upstream: dict[str, tuple[str, ...]] = {}
    for instance in instances:
        step = instance.step
        before: set[str] = set()
        for spot, path in zip(instance.inputs, step.inputs, strict=True):
            makers = owners.makers(path)
            before |= makers
            if step.id in owners.certain(path):
                message = f"step '{step.name}' reads and writes {_overlap(path, step)}"
                hint = "a path has one role in a step: write the result somewhere else"
                faults.append(Fault(path=("step", step.name, *spot), message=message, hint=hint, value=True))
        upstream[step.id] = tuple(sorted(before - {step.id}))
    after = _after(instances, set(names), faults)
    order = {
        step_id: rest for step_id, ids in after.items() if (rest := tuple(i for i in ids if i not in upstream[step_id]))
    }
    graph = Graph(upstream=upstream, order=order, after=after)
    if not faults:
        _refuse_cycle(graph, instances, owners, faults)
    return graph


class Owners:
    """Finds the steps that make a path."""

    def __init__(self, instances: Sequence[Instance], faults: list[Fault]) -> None:
        made = [
            _Made(output.path, instance.step.id, ("step", instance.step.name, *spot))
            for instance in instances
            for spot, output in zip(instance.outputs, instance.step.outputs, strict=True)
        ]
        _refuse_shared(made, faults)
        self._exact = {one.path: one.step for one in made}
        self._below: dict[str, set[str]] = defaultdict(set)
        for one in made:
            self._below["."].add(one.step)
            for folder in parents(one.path):
                self._below[folder].add(one.step)
        self._sorted = sorted(self._exact)
        self._found: dict[str, tuple[frozenset[str], frozenset[str]]] = {}

    def makers(self, path: str) -> frozenset[str]:
        """Name the steps whose outputs an input may be, lie in, or hold."""
        return self._look(path)[0]

    def certain(self, path: str) -> frozenset[str]:
        """Leave out those of whom only the guess that an output is a folder makes a maker."""
        return self._look(path)[1]

    def _look(self, path: str) -> tuple[frozenset[str], frozenset[str]]:
        found = self._found.get(path)
        if found is None:
            found = self._glob(path) if is_glob(path) else self._plain(path)
            self._found[path] = found
        return found

    def _plain(self, path: str) -> tuple[frozenset[str], frozenset[str]]:
        ids = {self._exact[one] for one in (path, *parents(path)) if one in self._exact}
        found = frozenset(ids | self._below.get(path, set()))
        return found, found

    def _glob(self, pattern: str) -> tuple[frozenset[str], frozenset[str]]:
        prefix = literal_prefix(pattern)
        around = {self._exact[folder] for folder in parents(prefix) if folder in self._exact}
        matches, holds = compile_glob(pattern), compile_holder(pattern)
        certain = set(around)
        possible = set(around)
        for path in self._sorted[
            bisect_left(self._sorted, prefix) : bisect_left(self._sorted, prefix + _AFTER_EVERY_PATH)
        ]:
            if matches(path):
                certain.add(self._exact[path])
            elif holds(path) and _may_be_folder(path, pattern):
                possible.add(self._exact[path])
        return frozenset(certain | possible), frozenset(certain)


def _may_be_folder(path: str, pattern: str) -> bool:
    """Guess from its name whether an output is a folder that a glob could reach into.

    A declaration does not say. `**` reaches into everything, so below it a name with a suffix (`report.md`) counts as a
    file: an edge from every file of a project would close cycles that are not there. A glob that spells the way out
    (`models/*/weights.pt`) says itself that what stands there is a folder.
    """
    suffix = posixpath.splitext(path)[1]
    return "**" not in pattern.split("/") or not any(c.isalpha() for c in suffix)


def fold(path: str) -> str:
    """Spell a path as the most forgiving file system does: without case and in one Unicode form."""
    return (
        path.lower() if path.isascii() else unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
    )


def _refuse_shared(made: Sequence[_Made], faults: list[Fault]) -> None:
    """Refuse an output that is another's, or lies in another; one fault for each declared place."""
    seen: dict[str, _Made] = {}
    told: set[Path] = set()
    for one in made:
        other = seen.setdefault(fold(one.path), one)
        if other is not one and one.at not in told:
            told.add(one.at)
            faults.append(_shared(one, other))
    for one in made:
        for folder in parents(fold(one.path)):
            other = seen.get(folder, one)
            if other is not one and one.at not in told:
                told.add(one.at)
                message = f"{one.path} lies inside {other.path}, an output of '{other.step}'"
                hint = "a path has one owner: declare the folder, or what is in it"
                faults.append(Fault(path=one.at, message=message, hint=hint, value=True))


def _shared(one: _Made, other: _Made) -> Fault:
    spelled = "" if one.path == other.path else f" (there spelled {other.path})"
    if one.at == other.at:
        message = f"{one.step} and {other.step} both make {one.path}{spelled}"
        hint = "use ${{ matrix.… }} in the path, so that each instance has its own"
    elif one.step == other.step:
        message, hint = f"{one.path} is declared twice{spelled}", "leave one of them out"
    else:
        message = f"{one.path} is already an output of '{other.step}'{spelled}"
        hint = "a path has one owner: let one step make it and the other read it"
    return Fault(path=one.at, message=message, hint=hint, value=True)


def _overlap(path: str, step: Step) -> str:
    """Say which of a step's own outputs an input meets."""
    for output in step.outputs:
        if output.path == path:
            return path
        if is_glob(path):
            if compile_glob(path)(output.path) or is_within(literal_prefix(path), output.path):
                return f"{output.path}, which {path} matches"
        elif is_within(path, output.path):
            return f"{path}, which lies inside its output {output.path}"
        elif is_within(output.path, path):
            return f"{output.path}, which lies inside its input {path}"
    return path


def _after(instances: Sequence[Instance], names: set[str], faults: list[Fault]) -> dict[str, tuple[str, ...]]:
    """Resolve `after` to ids; a family stands for all its instances."""
    if not any(instance.step.after for instance in instances):
        return {}
    families: dict[str, list[str]] = defaultdict(list)
    for instance in instances:
        families[instance.step.name].append(instance.step.id)
        if instance.step.id != instance.step.name:
            families[instance.step.id].append(instance.step.id)
    resolved = {}
    for instance in instances:
        step = instance.step
        ids: set[str] = set()
        for index, name in enumerate(step.after):
            at: Path = ("step", step.name, "after", index)
            ids.update(families.get(name, ()))
            if name not in families and name not in names:
                message = f"unknown step '{name}'"
                faults.append(Fault(path=at, message=message, hint=nearest(name, families), value=True))
            elif step.id in families.get(name, ()):
                faults.append(Fault(path=at, message=f"step '{step.name}' cannot come after itself", value=True))
        if ids:
            resolved[step.id] = tuple(sorted(ids))
    return resolved


def _refuse_cycle(graph: Graph, instances: Sequence[Instance], owners: Owners, faults: list[Fault]) -> None:
    before = {i.step.id: graph.upstream[i.step.id] + graph.order.get(i.step.id, ()) for i in instances}
    cycle = find_cycle(before)
    if cycle is None:
        return
    steps = {instance.step.id: instance.step for instance in instances}
    ring = [*cycle, cycle[0]]
    reasons = [_reason(steps[there], here, owners) for here, there in itertools.pairwise(ring)]
    spot, _ = reasons[0]
    faults.append(
        Fault(
            path=("step", steps[ring[1]].name, *spot),
            message=f"steps wait for each other: {' -> '.join(ring)}",
            hint="\n".join(text for _, text in reasons),
            value=True,
        )
    )


def _reason(step: Step, maker: str, owners: Owners) -> tuple[Path, str]:
    for index, path in enumerate(step.inputs):
        if maker in owners.makers(path):
            return ("inputs", index), f"{step.id} reads {path} of {maker}"
    return ("after",), f"{step.id} is declared after {maker}"


def find_cycle(before: Mapping[str, Sequence[str]]) -> list[str] | None:
    """Give the ids of one cycle, each followed by one that waits for it; None when there is none."""
    done: set[str] = set()
    for start in before:
        if start in done:
            continue
        trail = [start]
        on_trail = {start}
        waiting = [iter(before[start])]
        while trail:
            nxt = next(waiting[-1], None)
            if nxt is None:
                done.add(trail[-1])
                on_trail.discard(trail.pop())
                waiting.pop()
            elif nxt in on_trail:
                return trail[trail.index(nxt) :][::-1]
            elif nxt not in done:
                trail.append(nxt)
                on_trail.add(nxt)
                waiting.append(iter(before[nxt]))
    return None
