"""The rules of `gitml lint`: each takes a look at the project and yields what it suspects."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from shlex import quote

from gitml.engine.code import Discovery
from gitml.engine.judge import Judge
from gitml.engine.launchers import starts
from gitml.engine.observe import declared_parts
from gitml.engine.sinks import is_junk
from gitml.manifest.graph import Owners
from gitml.manifest.positions import Path
from gitml.model.glob import compile_glob, literal_prefix
from gitml.model.path import is_glob, is_within, parents
from gitml.model.pipeline import Pipeline
from gitml.model.step import Role, Step
from gitml.model.value import canonical_json

_SECRET = re.compile(
    r"(?:^|_)(?:TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|APIKEY|API_KEY|ACCESS_KEY|PRIVATE_KEY)(?:_|$)"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where something stands: `path` (and `value`, `within`) in the manifest, or a line of another `file`."""

    path: Path = ()
    value: bool = False
    within: str | None = None
    file: str | None = None
    line: int = 1
    column: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Suspicion:
    """A finding before its place is looked up."""

    rule: str
    severity: str
    at: Place
    message: str
    hint: str
    steps: tuple[str, ...] = ()

    def of(self, steps: tuple[str, ...]) -> Suspicion:
        """Give the same for other steps."""
        return replace(self, steps=steps)


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What the rules look at. `whole`: all steps are looked at, so that loose ends can be told. `sources`: by path."""

    pipeline: Pipeline
    steps: Sequence[Step]
    judge: Judge
    owners: Owners
    sources: frozenset[str]
    whole: bool

    def discovery(self, step: Step) -> Discovery:
        """Give the code that was found for a step."""
        return self.judge.look.observer.discover(step)

    def is_source(self, path: str) -> bool:
        """Tell whether a path is a source or lies in one."""
        return not self.sources.isdisjoint((path, *parents(path)))

    def exists(self, path: str) -> bool:
        """Tell whether something stands at a path."""
        return os.path.lexists(os.path.join(self.judge.world.root, path))


def unfollowed_imports(look: Look) -> Iterator[Suspicion]:
    """Code that is loaded from a place only a run can know; once `code` is declared, it is the user's word."""
    for step in look.steps:
        for dynamic in look.discovery(step).dynamic:
            at = Place(file=dynamic.path, line=dynamic.line) if dynamic.path is not None else _command(step)
            yield Suspicion(
                rule="dynamic-import",
                severity="info" if step.code else "warning",
                at=at,
                message=f"cannot be followed: {dynamic.text}",
                hint=f'name what it may load: code = ["…"] in [step.{step.name}]',
                steps=(step.id,),
            )


def no_outputs(look: Look) -> Iterator[Suspicion]:
    """A step whose result nobody can restore or read; one that always runs, or that others come after, is an action."""
    awaited = {other for step in look.pipeline.steps.values() for other in step.after}
    for step in look.steps:
        if not step.outputs and not step.always and step.id not in awaited:
            yield Suspicion(
                rule="no-outputs",
                severity="warning",
                at=Place(path=("step", step.name)),
                message=f"step {step.name} declares no outputs",
                hint="declare what it writes; if it is run for its effect, say always = true",
                steps=(step.id,),
            )


def undeclared_files(look: Look) -> Iterator[Suspicion]:
    """A word of the command that is a file or folder which neither the key nor the graph knows of."""
    for step in look.steps:
        found = look.discovery(step).found
        known = [*step.inputs, *(output.path for output in step.outputs), *(code.path for code in step.code), *found]
        for command in step.commands:
            for start in starts(command, step.cwd):
                for word in start.words:
                    if not _knows(known, word):
                        yield from _undeclared(look, step, word)


def _undeclared(look: Look, step: Step, word: str) -> Iterator[Suspicion]:
    makers = [maker for maker in sorted(look.owners.makers(word) - {step.id}) if _makes(look.pipeline, maker, word)]
    if makers:
        message, hint = f"{word}, which {makers[0]} makes, is no input of {step.name}", "declare it under inputs"
    elif look.exists(word):
        message = f"{word} is named in the command of {step.name} and is neither input, output nor code"
        hint = "declare it: a change of it makes nothing stale"
    else:
        return
    yield Suspicion(
        rule="undeclared-file",
        severity="warning",
        at=_command(step, word),
        message=message,
        hint=hint,
        steps=(step.id,),
    )


def same_work(look: Look) -> Iterator[Suspicion]:
    """Instances that do the same: the value that tells them apart reaches neither command nor parameters nor inputs."""
    seen: dict[tuple[str, bytes], Step] = {}
    for step in look.steps:
        if step.instance is None:
            continue
        parts = declared_parts(step, look.pipeline.packages, {})
        work = {name: value for name, value in parts.items() if not name.startswith("output:")}
        key = (step.name, canonical_json({**work, "inputs": sorted(step.inputs), "outputs": len(step.outputs)}))
        other = seen.setdefault(key, step)
        if other is not step:
            yield Suspicion(
                rule="same-work",
                severity="warning",
                at=Place(path=("step", step.name, "matrix")),
                message=f"{step.id} does the same as {other.id}",
                hint="use ${{ matrix.… }} in the command, or leave the value out of the matrix",
                steps=(step.id,),
            )


def unread_outputs(look: Look) -> Iterator[Suspicion]:
    """An output that nothing reads although other outputs of its step are read.

    What the last steps write is what the pipeline is for, and so are metrics, plots and what Git holds: of them nothing
    is told. In the midst of a pipeline, an output that nobody reads is more often a forgotten input.
    """
    if not look.whole:
        return
    readers = {path: compile_glob(path) for s in look.pipeline.steps.values() for path in s.inputs if is_glob(path)}
    plain = {path for s in look.pipeline.steps.values() for path in s.inputs if not is_glob(path)}
    folders = {folder for path in plain for folder in parents(path)}

    def is_read(path: str) -> bool:
        if path in plain or path in folders or "." in plain or not plain.isdisjoint(parents(path)):
            return True
        return any(match(path) or is_within(literal_prefix(glob), path) for glob, match in readers.items())

    inner = {above for ids in look.pipeline.upstream.values() for above in ids}
    told: dict[tuple[str, int], Suspicion] = {}
    for step in look.steps:
        for index, output in enumerate(step.outputs):
            own = output.role is Role.OUTPUT and not output.git
            if own and step.id in inner and not is_read(output.path):
                first = told.setdefault((step.name, index), _unread(step, output.path))
                yield first.of((step.id,))  # of a family, the first instance speaks for all


def _unread(step: Step, path: str) -> Suspicion:
    return Suspicion(
        rule="unread-output",
        severity="info",
        at=Place(path=("step", step.name, "outputs"), value=True, within=path),
        message=f"nothing reads {path} of {step.name}",
        hint="declare it as an input where it is read; if it is a result, this is well",
    )


def unowned_inputs(look: Look) -> Iterator[Suspicion]:
    """An input that neither Git nor a step nor a source can bring back: another clone cannot have it."""
    for step in look.steps:
        for declared in step.inputs:
            if look.owners.makers(declared) or look.is_source(declared):
                continue
            told = _unowned(look, declared)
            if told is not None:
                yield Suspicion(
                    rule="unowned-input",
                    severity="warning",
                    at=Place(path=("step", step.name, "inputs"), value=True, within=declared),
                    message=told[0],
                    hint=told[1],
                    steps=(step.id,),
                )


def _unowned(look: Look, declared: str) -> tuple[str, str] | None:
    """Say what is wrong with an input that no step makes and no source holds, and what to do about it."""
    paths = list(look.judge.look.view.expand(declared, {})) if is_glob(declared) else [declared]
    if not paths or not any(look.exists(path) for path in paths):
        hint = "put it there, or declare the step that makes it"
        return f"no file matches input {declared}" if is_glob(declared) else f"input {declared} does not exist", hint
    files = [file for path in paths for file in _files(look, path) if not look.is_source(file)]
    lost = sorted(look.judge.look.held.ignored(files))
    hint = f"gitml add {_nameable(declared)} keeps it; or let Git hold it, or declare the step that makes it"
    if not lost:
        return None
    if len(files) == 1 and lost == [declared]:
        return f"input {declared} is ignored by Git, and no step makes it", hint
    head = f"{len(lost)} of {len(files)} files of input {declared} are ignored by Git, and no step makes them"
    return f"{head}: {lost[0]}", hint


def _nameable(declared: str) -> str:
    """Write an input as `gitml add` takes it."""
    return f"--glob {quote(declared)}" if is_glob(declared) else quote(declared)


def _files(look: Look, path: str) -> Iterator[str]:
    """Name the files that an input stands for."""
    root = look.judge.world.root
    full = os.path.join(root, path)
    if os.path.islink(full) or not os.path.isdir(full):
        yield path
        return
    for folder, folders, names in os.walk(full):
        inside = os.path.relpath(folder, root)
        prefix = "" if inside == "." else inside + "/"
        folders[:] = sorted(name for name in folders if name != ".gitml" and not is_junk(name))
        yield from (prefix + name for name in sorted(names) if not is_junk(name))


def orphaned_locks(look: Look) -> Iterator[Suspicion]:
    """The lock of a step that was removed or renamed."""
    if not look.whole:
        return
    for path in look.judge.world.locks.orphans(dict(look.pipeline.steps)):
        yield Suspicion(
            rule="orphaned-lock",
            severity="warning",
            at=Place(file=path),
            message="the lock of a step that is not declared",
            hint=f"run `gitml repro` if the step was renamed, else `git rm {path}`",
        )


def secrets_in_env(look: Look) -> Iterator[Suspicion]:
    """A variable that sounds like a secret in `env`, where the digest of its value enters locks and runs."""
    for step in look.steps:
        for name in step.env:
            if _SECRET.search(name.upper()):
                yield Suspicion(
                    rule="secret-in-env",
                    severity="warning",
                    at=Place(path=("step", step.name, "env"), value=True, within=name),
                    message=f"{name} sounds like a secret, and a digest of its value would be committed",
                    hint="list it under secrets instead: those are never keyed, recorded or printed",
                    steps=(step.id,),
                )


RULES: tuple[Callable[[Look], Iterator[Suspicion]], ...] = (
    unfollowed_imports,
    no_outputs,
    undeclared_files,
    same_work,
    unread_outputs,
    unowned_inputs,
    orphaned_locks,
    secrets_in_env,
)
"""All rules; the order does not matter."""


def _command(step: Step, word: str | None = None) -> Place:
    """Point to a word of the command. The manifest may spell it otherwise: then to the command."""
    key = "run" if step.commands and step.commands[0].text is not None else "argv"
    return Place(path=("step", step.name, key), value=True, within=word)


def _knows(declared: Sequence[str], word: str) -> bool:
    """Tell whether a path is declared, lies in what is declared, or holds some of it."""
    for path in declared:
        if is_glob(path):
            if compile_glob(path)(word) or is_within(path, word):
                return True
        elif is_within(word, path) or is_within(path, word):
            return True
    return False


def _makes(pipeline: Pipeline, step_id: str, path: str) -> bool:
    """Tell whether a step makes the path itself or a folder that holds it, not only something below it."""
    return any(is_within(path, output.path) for output in pipeline.steps[step_id].outputs)
