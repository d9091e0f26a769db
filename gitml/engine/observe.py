"""Take a step's recipe from a view: everything that enters its key, and what was looked at on the way."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import NamedTuple

from gitml.engine.discover import Discoverer, Discovery
from gitml.engine.view import Seen, View
from gitml.engine.witness import Witness, Witnessed
from gitml.hashing.file import digest_bytes
from gitml.hashing.key import key_of
from gitml.model.digest import Digest
from gitml.model.path import is_glob, is_within
from gitml.model.pipeline import Pipeline
from gitml.model.recipe import Recipe
from gitml.model.step import Command, Step
from gitml.model.tree import Entry
from gitml.model.value import to_json


class Observation(NamedTuple):
    """What a view says about a step at one moment.

    `missing`: declared inputs that are not there. `unsettled`: upstream steps on whose outputs it depends and that are
    not settled; inputs that wait for them have no part in the recipe. `witness`: the stat of all that was looked at.
    """

    step: Step
    recipe: Recipe
    key: Digest
    missing: tuple[str, ...]
    unsettled: tuple[str, ...]
    discovery: Discovery
    witness: Witnessed


class Observer:
    """Observes steps of one pipeline in one view; remembers the import graph between steps."""

    def __init__(self, pipeline: Pipeline, view: View, environ: Mapping[str, str]) -> None:
        self.pipeline = pipeline
        self.view = view
        self._environ = environ
        self._discoverer = Discoverer(view, pipeline.roots)
        self._fixed: dict[str, dict[str, object]] = {}

    def observe(self, step: Step, *, produced: Mapping[str, Entry], unsettled: Mapping[str, str]) -> Observation:
        """Take the recipe of a step.

        `produced`: entries of outputs that will be restored but are not in the view yet, by path. `unsettled`: outputs
        that the view does not show as they will be, by path, with the step that makes each.

        Raises:
            GitmlError: A file cannot be digested, or code cannot be found.
        """
        witness: Witness = {}
        parts = dict(self._declared(step))
        discovery = self._discoverer.discover(step)
        self._code(discovery, parts, witness)
        missing: list[str] = []
        waiting: set[str] = set()
        for declared in step.inputs:
            makers = set() if declared in produced else _makers(declared, unsettled)
            if makers:
                waiting.update(makers)
            elif not self._input(declared, produced, parts, witness):
                missing.append(declared)
        recipe = Recipe(parts=parts)
        return Observation(
            step=step,
            recipe=recipe,
            key=key_of(recipe),
            missing=tuple(missing),
            unsettled=tuple(sorted(waiting)),
            discovery=discovery,
            witness=witness,
        )

    def discover(self, step: Step) -> Discovery:
        """Find a step's code; see `Discoverer.discover`."""
        return self._discoverer.discover(step)

    def _declared(self, step: Step) -> dict[str, object]:
        found = self._fixed.get(step.id)
        if found is None:
            found = self._fixed[step.id] = declared_parts(step, self.pipeline.packages, self._environ)
        return found

    def _code(self, discovery: Discovery, parts: dict[str, object], witness: Witness) -> None:
        for path, found in discovery.found.items():
            if found.exact:
                parts["code:" + path] = str(self.view.code_digest(path, witness))
            else:
                parts["code:" + path] = self.view.source(path).digest
                self.view.stat(path, witness)

    def _input(self, declared: str, produced: Mapping[str, Entry], parts: dict[str, object], witness: Witness) -> bool:
        if declared in produced:
            parts["input:" + declared] = _part(Seen(entry=produced[declared]))
            return True
        paths = self.view.expand(declared, witness) if is_glob(declared) else [declared]
        for path in paths:
            seen = self.view.seen(path, witness)
            if seen is None:
                return False
            parts["input:" + path] = _part(seen)
            self._beyond(seen, parts, witness)
        return bool(paths)

    def _beyond(self, seen: Seen, parts: dict[str, object], witness: Witness) -> None:
        """Add what links lead to, out of a folder and from there on."""
        waiting = list(seen.links)
        while waiting:
            path = waiting.pop()
            if "input:" + path not in parts:
                beyond = self.view.seen(path, witness)
                parts["input:" + path] = _part(beyond) if beyond is not None else None
                waiting.extend(beyond.links if beyond is not None else ())


def declared_parts(step: Step, packages: Mapping[str, object], environ: Mapping[str, str]) -> dict[str, object]:
    """Give the parts of a recipe that follow from the declaration and the declared variables alone."""
    parts: dict[str, object] = {
        "command": {
            "run": [_command(command) for command in step.commands],
            "shell": step.shell,
            "cwd": step.cwd,
        }
    }
    for name, value in step.params.items():
        parts["param:" + name] = to_json(value)
    for name in step.env:
        parts["env:" + name] = (
            str(digest_bytes(environ[name].encode("utf-8", "surrogateescape"))) if name in environ else None
        )
    for name in step.packages:
        parts["package:" + name] = to_json(packages[name])  # type: ignore[arg-type]
    for output in step.outputs:
        parts["output:" + output.path] = output.role.value
    return parts


def _command(command: Command) -> object:
    return list(command.argv) if command.text is None else command.text


def _part(seen: Seen) -> dict[str, object]:
    part: dict[str, object] = {"mode": seen.entry.kind.value, "digest": str(seen.entry.digest)}
    if seen.target is not None:
        part["target"] = {"mode": seen.target.kind.value, "digest": str(seen.target.digest)}
    return part


def _makers(declared: str, unsettled: Mapping[str, str]) -> set[str]:
    """Name the steps that a declared input waits for: an unsettled output that it names, holds or lies in."""
    if not unsettled:
        return set()
    folder = posixpath.dirname(declared[: _first_glob(declared)]) or "." if is_glob(declared) else declared
    return {
        step
        for path, step in unsettled.items()
        if is_within(path, folder) or is_within(declared, path) or is_within(folder, path)
    }


def _first_glob(pattern: str) -> int:
    return min(pattern.index(c) for c in "*?[" if c in pattern)
