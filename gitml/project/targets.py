"""What can be checked out: the recorded outputs and sources, and those of them that a user's words mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gitml.engine.locks import Locks
from gitml.errors import UsageError
from gitml.model.path import is_within
from gitml.model.pipeline import Pipeline
from gitml.model.source import Pointer
from gitml.model.tree import Entry
from gitml.project.paths import project_path


class Target(NamedTuple):
    """Something recorded that the store may hold: an output of `step`, or, where that is None, a source.

    `remedy`: the command that gets its bytes where the store does not have them.
    """

    path: str
    entry: Entry
    step: str | None
    remedy: str
    pointer: Pointer | None = None


class Wanted(NamedTuple):
    """A target of which all is wanted (`inside` is its path), or what lies at a path in it."""

    target: Target
    inside: str


def targets_of(pipeline: Pipeline, locks: Locks, pointers: Iterable[Pointer]) -> list[Target]:
    """List all outputs that locks name and that the store keeps, then all sources.

    Raises:
        LockFileError: A lock cannot be read.
    """
    found = []
    for step in pipeline.steps.values():
        lock = locks.read(step)
        for output in step.outputs if lock is not None else ():
            if lock is not None and output.path in lock.outputs and output.cache and not output.git:
                entry = lock.outputs[output.path]
                found.append(Target(output.path, entry, step.id, f"gitml repro {step.id}"))
    for pointer in pointers:
        remedy = (
            f"gitml update {pointer.path}"
            if pointer.url is not None or pointer.path in pipeline.sources
            else f"copy it from where it was added, then gitml add {pointer.path}"
        )
        found.append(Target(pointer.path, pointer.entry, None, remedy, pointer))
    return found


def choose(pipeline: Pipeline, targets: Sequence[Target], root: str, cwd: str, typed: Sequence[str]) -> list[Wanted]:
    """Find what the words mean that were typed in `cwd`: steps, targets, folders above some, paths inside one.

    Raises:
        UsageError: A word means nothing that is recorded.
    """
    if not typed:
        return [Wanted(target, target.path) for target in targets]
    found: dict[Wanted, None] = {}
    for word in typed:
        ids = pipeline.family(word)
        of_steps = [Wanted(target, target.path) for target in targets if target.step in ids]
        if ids and not of_steps:
            raise UsageError(f"step {word} has no recorded outputs in the cache", hint=f"gitml repro {word}")
        found.update(dict.fromkeys(of_steps or _at(pipeline, targets, project_path(root, cwd, word))))
    whole = {wanted.target.path for wanted in found if wanted.inside == wanted.target.path}
    return [w for w in found if w.inside == w.target.path or w.target.path not in whole]


def _at(pipeline: Pipeline, targets: Sequence[Target], path: str) -> list[Wanted]:
    around = [Wanted(target, path) for target in targets if is_within(path, target.path)]
    found = around or [Wanted(target, target.path) for target in targets if is_within(target.path, path)]
    if not found:
        raise UsageError(f"{path} is nothing that is recorded here", hint=_why_not(pipeline, targets, path))
    return found


def _why_not(pipeline: Pipeline, targets: Sequence[Target], path: str) -> str:
    for step in pipeline.steps.values():
        for output in step.outputs:
            if is_within(path, output.path) or is_within(output.path, path):
                return f"git checkout -- {path}" if output.git else f"gitml repro {step.id}"
    import difflib  # noqa: PLC0415 - 2 ms that only a mistake should cost

    near = difflib.get_close_matches(path, [target.path for target in targets], n=1)
    return f"did you mean {near[0]!r}?" if near else "gitml status lists what there is"
