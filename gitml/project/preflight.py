"""What must be right before anything runs: all that is wrong is told at once, and nothing is written."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from shlex import quote

from gitml.engine.judge import Judge
from gitml.engine.sources import Known, Sources
from gitml.engine.world import Look
from gitml.errors import GitmlError, UsageError
from gitml.manifest.graph import fold
from gitml.manifest.load import PYPROJECT
from gitml.model.glob import compile_glob
from gitml.model.path import is_glob, is_within, parents
from gitml.model.pipeline import Pipeline
from gitml.model.step import Output, Role, Step


class PreflightError(UsageError):
    """One or more steps cannot be judged; `problems` has an error for each."""

    def __init__(self, problems: tuple[GitmlError, ...]) -> None:
        hints = dict.fromkeys(problem.hint for problem in problems if problem.hint)
        text = "\n".join(dict.fromkeys(str(problem) for problem in problems))
        super().__init__(text, hint="; ".join(hints) or None)
        self.problems = problems


def _tracked(judge: Judge, step: Step, output: Output) -> GitmlError:
    """Say where an output is declared that Git tracks; the manifest is read again for the place."""
    from gitml.manifest.problems import Fault, ManifestError, Source  # noqa: PLC0415 - only a mistake needs it

    file = judge.world.pipeline.files[0]
    with open(os.path.join(judge.world.root, file), encoding="utf-8-sig") as manifest:
        source = Source(file=file, text=manifest.read(), prefix=("tool", "gitml") if file == PYPROJECT else ())
    key = "outputs" if output.role is Role.OUTPUT else output.role.value
    number = [other for other in step.outputs if other.role is output.role].index(output)
    fault = Fault(
        path=("step", step.name, key, number),
        message=f"output {output.path} of step {step.id} is tracked by Git, and each path has one owner",
        hint=f"git rm -r --cached {output.path}, or declare it with git = true",
        value=True,
    )
    return ManifestError([source.problem(fault)])


def check_merged(judge: Judge, wanted: Iterable[str]) -> None:
    """Refuse to execute on files that hold two sides of a merge.

    Raises:
        PreflightError: A step's code or declared input is in conflict; nothing was run or written.
    """
    conflicted = sorted(path for path in judge.look.held.conflicted if not is_within(path, ".gitml"))
    problems: list[GitmlError] = []
    for step_id in wanted if conflicted else ():
        step = judge.world.pipeline.steps[step_id]
        code = judge.look.observer.discover(step).found
        for path in conflicted:
            if path in code or any(_reads(declared, path) for declared in step.inputs):
                hint = "resolve the conflict and git add the file"
                problems.append(
                    UsageError(f"{path}, which step {step_id} uses, is in the middle of a merge", hint=hint)
                )
    if problems:
        raise PreflightError(tuple(problems))


def _reads(declared: str, path: str) -> bool:
    if not is_glob(declared):
        return is_within(path, declared)
    matches = compile_glob(declared)
    return any(matches(part) for part in (path, *parents(path)))


def check(judge: Judge, wanted: Iterable[str]) -> Known:
    """Read every wanted step's lock and find its code; check that each path has one owner. Gives the sources.

    Raises:
        PreflightError: Something is wrong; nothing was run or written.
        PointerFileError: A pointer is damaged or of a newer format.
    """
    known = Sources(judge.world.root, judge.world.machine).known()
    problems: list[GitmlError] = [*known.conflicted.values(), *_shared(judge, known)]
    for step_id in wanted:
        step = judge.world.pipeline.steps[step_id]
        for output in step.outputs:
            tracked = judge.look.held.is_held(output.path) or judge.look.held.is_dir(output.path)
            if tracked and not output.git:
                problems.append(_tracked(judge, step, output))
        try:
            judge.look.observer.discover(step)
            judge.world.locks.look(step)
        except GitmlError as error:
            problems.append(error)
    if problems:
        raise PreflightError(tuple(problems))
    return known


def _shared(judge: Judge, known: Known) -> Iterator[GitmlError]:
    """Tell of sources that somebody else owns as well: Git, a step, or another source."""
    outputs = {fold(o.path): (o.path, s.id) for s in judge.world.pipeline.steps.values() for o in s.outputs}
    above = {folder: path for path in outputs for folder in parents(path)}
    seen: dict[str, str] = {}
    for path in sorted({*known.pointers, *judge.world.pipeline.sources}, key=fold):
        folded = fold(path)
        ways = (folded, *parents(folded))
        if judge.look.held.is_held(path) or judge.look.held.is_dir(path):
            yield tracked_source(path)
        meets = next((way for way in ways if way in outputs), above.get(folded))
        if meets is not None:
            yield shared_with_output(path, *outputs[meets])
        other = next((seen[way] for way in ways if way in seen), None)
        if other is not None:
            yield shared_with_source(path, other)
        seen[folded] = path


def tracked_source(path: str) -> UsageError:
    """Say that Git tracks a source, or something in it."""
    return UsageError(
        f"{path} is tracked by Git, and each path has one owner", hint=f"git rm -r --cached {quote(path)}"
    )


def shared_with_output(path: str, output: str, step: str) -> UsageError:
    """Say that a source and an output overlap."""
    met = "is" if path == output else f"overlaps {output},"
    hint = "a path has one owner: gitml rm the source, or let the step write elsewhere"
    return UsageError(f"source {path} {met} an output of step {step}", hint=hint)


def shared_with_source(path: str, other: str) -> UsageError:
    """Say that two sources overlap, or would where case is not told apart."""
    if is_within(path, other):
        return UsageError(f"source {path} lies inside source {other}", hint=f"gitml rm {quote(path)}")
    message = f"sources {path} and {other} are one path where case or Unicode form is not told apart"
    return UsageError(message, hint="rename one of them: gitml mv")


def check_owner(pipeline: Pipeline, look: Look, known: Known, path: str, *, leaving: str | None = None) -> None:
    """Refuse a path that is about to become a source and has an owner; `leaving`: a source that gives way to it.

    Raises:
        UsageError: Git, a step or another source owns it, something in it, or what holds it.
    """
    if look.held.is_held(path) or look.held.is_dir(path):
        raise tracked_source(path)
    submodule = look.held.submodule_of(path)
    if submodule is not None:
        raise UsageError(f"{path} lies in the submodule {submodule}", hint="a path has one owner, here Git")
    for step in pipeline.steps.values():
        for output in step.outputs:
            if _meet(path, output.path):
                raise shared_with_output(path, output.path, step.id)
    for other in (*known.pointers, *pipeline.sources):
        if other not in (path, leaving) and _meet(path, other):
            if is_within(other, path):
                hint = f"gitml rm {quote(other)} first, which leaves the data where it is"
                raise UsageError(f"{path} holds {other}, which is a source of its own", hint=hint)
            raise shared_with_source(path, other)


def _meet(path: str, other: str) -> bool:
    """Tell whether two paths are one, or one lies in the other, also where case is not told apart."""
    one, two = fold(path), fold(other)
    return is_within(one, two) or is_within(two, one)
