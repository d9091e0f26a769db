"""A compiled pipeline as JSON data, small and quick to read back: it is kept so that a no-op compiles nothing.

    [CODEC, files, roots, environment, params, packages, upstream, order, commons, steps, sources]

    common  what instances of a family, and often all steps, share: a row of the other fields
    step    [id, name, instance, matrix, commands, inputs, outputs, after, description, number of its common]
    command a string for the shell, or a list of words
    output  a path, or [path, role], where all else is as by default, or a row of all fields
    code    a path, or [path, true] where it is exact
    source  [path, url, [[algorithm, hex digits], …]]

`upstream` and `order` name steps by number. Parameter values are written as `gitml.model.value` writes them. A change
of anything here, or of the meaning of a field, raises `CODEC`; what has another number is compiled anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from gitml.model import value
from gitml.model.pipeline import Pipeline
from gitml.model.source import SourceDeclaration
from gitml.model.step import Code, Command, Output, Resources, Role, Step
from gitml.model.value import Value

CODEC = 2

T = TypeVar("T")


def to_json(pipeline: Pipeline) -> object:
    """Encode a pipeline as data for `json.dumps`."""
    numbers = {step_id: number for number, step_id in enumerate(pipeline.steps)}
    commons: dict[str, int] = {}
    steps = []
    for step in pipeline.steps.values():
        text = json.dumps(_common(step))
        steps.append(_step(step, commons.setdefault(text, len(commons))))
    return [
        CODEC,
        list(pipeline.files),
        list(pipeline.roots),
        pipeline.environment,
        value.to_json(pipeline.params),
        value.to_json(pipeline.packages),
        [[numbers[other] for other in pipeline.upstream[step_id]] for step_id in pipeline.steps],
        {str(numbers[step_id]): [numbers[other] for other in ids] for step_id, ids in pipeline.order.items()},
        [json.loads(text) for text in commons],
        steps,
        [[source.path, source.url, source.expected] for source in pipeline.sources.values()],
    ]


def from_json(data: object) -> Pipeline:
    """Undo `to_json`, also after a round through `json`.

    Raises:
        ValueError: It is of another version, or damaged.
    """
    if not isinstance(data, list) or len(data) != 11 or data[0] != CODEC:
        raise ValueError("not a compiled pipeline of this version")
    try:
        return _pipeline(data)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise ValueError(f"a compiled pipeline is damaged: {error}") from error


def _pipeline(data: Sequence[Any]) -> Pipeline:
    _, files, roots, environment, params, packages, upstream, order, commons, rows, sources = data
    shared = [_read_common(row) for row in commons]
    steps = {row[0]: _read_step(row, shared) for row in rows}
    ids = list(steps)
    return Pipeline(
        files=tuple(files),
        steps=steps,
        upstream={step_id: tuple([ids[n] for n in before]) for step_id, before in zip(ids, upstream, strict=True)},
        order={ids[int(number)]: tuple([ids[n] for n in before]) for number, before in order.items()},
        params=_table(params),
        roots=tuple(roots),
        environment=environment,
        packages=_table(packages),
        sources={row[0]: _read_source(row) for row in sources},
    )


def _step(step: Step, common: int) -> list[Any]:
    return [
        step.id,
        step.name,
        step.instance,
        value.to_json(step.matrix),
        [list(command.argv) if command.text is None else command.text for command in step.commands],
        list(step.inputs),
        [_output(output) for output in step.outputs],
        list(step.after),
        step.description,
        common,
    ]


_OWN = ("id", "name", "instance", "matrix", "commands", "inputs", "outputs", "after", "description")
_COMMON = (
    "shell",
    "cwd",
    "params",
    "code",
    "env",
    "secrets",
    "packages",
    "resources",
    "timeout",
    "retries",
    "always",
    "frozen",
    "labels",
)


def _maker(cls: type[T], names: Sequence[str]) -> Callable[[Sequence[Any]], T]:
    """Make a constructor that takes the fields as one row, in the order of `names`.

    A frozen dataclass looks up every field by name when it is made: 4.5 us for a step, 1.6 us for an output, and 12 ms
    for a thousand steps. Setting the slots directly takes half of that. These classes check nothing when they are made.
    """
    setters = tuple(getattr(cls, name).__set__ for name in names)
    new = object.__new__

    def make(row: Sequence[Any]) -> T:
        made = new(cls)
        for setter, field in zip(setters, row, strict=True):
            setter(made, field)
        return made

    return make


_make_step = _maker(Step, _OWN + _COMMON)
_make_output = _maker(Output, ("path", "role", "git", "cache", "resume", "push", "remote"))
_make_command = _maker(Command, ("text", "argv"))
_ROLES = {role.value: role for role in Role}


def _read_step(row: Sequence[Any], commons: Sequence[tuple[Any, ...]]) -> Step:
    step_id, name, instance, matrix, commands, inputs, outputs, after, description, common = row
    return _make_step(
        (
            step_id,
            name,
            instance,
            _table(matrix) if matrix else {},
            tuple([_make_command((c, ()) if type(c) is str else (None, tuple(c))) for c in commands]),
            tuple(inputs),
            tuple([_read_output(o) for o in outputs]),
            tuple(after),
            description,
            *commons[common],
        )
    )


def _common(step: Step) -> list[Any]:
    return [
        step.shell,
        step.cwd,
        value.to_json(step.params),
        [[code.path, True] if code.exact else code.path for code in step.code],
        step.env,
        step.secrets,
        step.packages,
        [step.resources.cpus, step.resources.gpus, step.resources.memory],
        step.timeout,
        step.retries,
        step.always,
        step.frozen,
        step.labels,
    ]


def _read_common(row: Sequence[Any]) -> tuple[Any, ...]:
    shell, cwd, params, code, env, secrets, packages, resources, *rest, labels = row
    cpus, gpus, memory = resources
    return (
        shell,
        cwd,
        _table(params),
        tuple([Code(path=c) if type(c) is str else Code(path=c[0], exact=c[1]) for c in code]),
        tuple(env),
        tuple(secrets),
        tuple(packages),
        Resources(cpus=cpus, gpus=gpus, memory=memory),
        *rest,
        tuple(labels),
    )


def _output(output: Output) -> str | list[Any]:
    if output == Output(path=output.path):
        return output.path
    if output == Output(path=output.path, role=output.role):
        return [output.path, output.role.value]
    return [output.path, output.role.value, output.git, output.cache, output.resume, output.push, output.remote]


def _read_output(row: Any) -> Output:
    if type(row) is str:
        return _make_output((row, Role.OUTPUT, False, True, False, True, None))
    path, role, *rest = row
    return _make_output((path, _ROLES[role], *(rest or (False, True, False, True, None))))


def _read_source(row: Sequence[Any]) -> SourceDeclaration:
    path, url, expected = row
    return SourceDeclaration(path=path, url=url, expected=tuple([(name, digits) for name, digits in expected]))


def _table(data: object) -> Mapping[str, Value]:
    table = value.from_json(data)
    if not isinstance(table, Mapping):
        raise TypeError(f"expected a table, found {type(table).__name__}")
    return table
