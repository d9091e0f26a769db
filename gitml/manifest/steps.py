"""From the tables `[step.*]` to steps: one value per instance, with everything in it resolved."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from gitml.manifest import keys
from gitml.manifest.distribution import normal_name
from gitml.manifest.interpolate import has_hole, in_path, in_shell, in_words
from gitml.manifest.lookup import join_name, lookup, split_name
from gitml.manifest.matrix import Combination
from gitml.manifest.problems import Fault
from gitml.manifest.table import Reader, Refused, below, wrong
from gitml.model.path import PathError, check_path, is_glob
from gitml.model.step import Code, Command, Output, Role, Step
from gitml.model.value import Value

if TYPE_CHECKING:
    from gitml.manifest.positions import Path

_NAME = re.compile(r"\w[\w.-]*")
_LONGEST_NAME = 200
_ROLES = ((keys.OUTPUTS, Role.OUTPUT), (keys.METRICS, Role.METRICS), (keys.PLOTS, Role.PLOTS))


class Instance(NamedTuple):
    """A step and where its parts are declared: `inputs` and `outputs` are paths below the step's table."""

    step: Step
    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]


def read_steps(raw: Mapping[str, object], params: Mapping[str, Value], faults: list[Fault]) -> list[Instance]:
    """Compile every step, in the order of declaration; what is wrong goes to `faults`, with whole paths.

    What comes back is whole only where there were no faults.
    """
    instances: list[Instance] = []
    for name, table in raw.items():
        at: Path = ("step", name)
        bad_name = check_step_name(name)
        if bad_name:
            faults.append(Fault(path=at, message=bad_name, hint="use letters, digits, '_', '-' and '.'"))
        reader = Reader(table, keys.STEP, at)
        if isinstance(table, dict):
            family = _Family(name, reader, params)
            family.check()
            instances += family.instances()
        faults += reader.faults
    return instances


def check_step_name(name: str) -> str | None:
    """Say what is wrong with a step's name, if anything is."""
    if not _NAME.fullmatch(name):
        return f"{name!r} cannot be the name of a step"
    if len(name.encode()) > _LONGEST_NAME:
        return f"the name of a step may have at most {_LONGEST_NAME} bytes"
    return None


class _Family:
    """All instances of one declared step."""

    def __init__(self, name: str, reader: Reader, params: Mapping[str, Value]) -> None:
        self.name = name
        self.reader = reader
        self.params = params
        self.run = reader.get(keys.RUN)
        self.argv = reader.get(keys.ARGV)
        self.matrix = reader.get(keys.MATRIX)
        self.inputs = reader.get(keys.INPUTS)
        self.outputs = [
            (key.name, index, role, text) for key, role in _ROLES for index, text in enumerate(reader.get(key))
        ]
        self.code = reader.get(keys.CODES)
        self.cwd = reader.get(keys.CWD)
        self.env = reader.get(keys.ENV)
        self.secrets = reader.get(keys.SECRETS)
        self.after = reader.get(keys.AFTER)
        self.packages = reader.get(keys.PACKAGES)
        self.cache = reader.get(keys.CACHE)
        self.always = reader.get(keys.ALWAYS)
        self.frozen = reader.get(keys.FROZEN)
        self.shell = reader.get(keys.SHELL)
        self.resources = reader.get(keys.RESOURCES)
        self.timeout = reader.get(keys.TIMEOUT)
        self.retries = reader.get(keys.RETRIES)
        self.description = reader.get(keys.DESCRIPTION)
        self.labels = reader.get(keys.LABELS)
        self.read_params = self._read_params(reader.get(keys.PARAMS))

    def check(self) -> None:
        """Look at what keys say together."""
        has_run, has_argv = self.reader.has(keys.RUN), self.reader.has(keys.ARGV)
        if has_run and has_argv:
            self.reader.refuse(("argv",), "a step has either 'run' or 'argv', not both")
        elif not (has_run or has_argv):
            self.reader.refuse((), f"step '{self.name}' has no command", 'add run = "…" or argv = ["…"]')
        if self.always and self.frozen:
            self.reader.refuse(("frozen",), "a step cannot be both 'always' and 'frozen'")
        for index, name in enumerate(self.secrets):
            if name in self.env:
                hint = "a secret is never keyed: take it out of one of the two"
                self.reader.refuse(("secrets", index), f"{name} is in both 'env' and 'secrets'", hint)

    def _read_params(self, names: Sequence[str]) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for index, text in enumerate(names):
            with _Collect(self.reader, ("params", index)):
                split = split_name(text)
                found[join_name(split)] = lookup(self.params, split)
        return found

    def instances(self) -> Iterable[Instance]:
        """Give the instances, as long as none of them is wrong: the next would have the same mistakes."""
        if self.reader.has(keys.MATRIX) and not self.matrix:
            return
        for combination in self.matrix or (None,):
            before = len(self.reader.faults)
            instance = self._instance(combination)
            if len(self.reader.faults) > before:
                return
            yield instance

    def _instance(self, combination: Combination | None) -> Instance:
        step_id = f"{self.name}@{combination.text}" if combination else self.name
        scope: dict[str, Value] = {"params": self.params, "step": {"name": self.name, "id": step_id}}
        if combination:
            scope["matrix"] = combination.values
        cwd = self._path(("cwd",), self.cwd, scope, _folder) or "."
        inputs = [(i, path) for i, text in enumerate(self.inputs) if (path := self._path(("inputs", i), text, scope))]
        outputs = [
            ((key, i), self._output(path, role, text))
            for key, i, role, text in self.outputs
            if (path := self._path((key, i), text.path, scope, _owned))
        ]
        made = [output.path for (key, _), output in outputs if key == "outputs"]
        scope["inputs"] = [_from(cwd, path) for _, path in inputs]
        scope["outputs"] = [_from(cwd, path) for path in made]
        step = Step(
            id=step_id,
            name=self.name,
            instance=combination.text if combination else None,
            matrix=combination.values if combination else {},
            commands=self._commands(scope),
            shell=self.shell,
            cwd=cwd,
            inputs=tuple(path for _, path in inputs),
            outputs=tuple(output for _, output in outputs),
            params=self.read_params,
            code=tuple(self._code(scope)),
            env=self.env,
            secrets=self.secrets,
            packages=tuple(normal_name(name) for name in self.packages),
            after=self.after,
            resources=self.resources,
            timeout=self.timeout,
            retries=self.retries,
            always=self.always,
            frozen=self.frozen,
            description=self.description,
            labels=self.labels,
        )
        return Instance(
            step=step,
            inputs=tuple(("inputs", i) for i, _ in inputs),
            outputs=tuple(spot for spot, _ in outputs),
        )

    def _commands(self, scope: Mapping[str, Value]) -> tuple[Command, ...]:
        if self.argv:
            with _Collect(self.reader, ("argv",)):
                return (Command(argv=in_words(self.argv, scope)),)
        commands = []
        listed = isinstance(self.reader.raw.get("run"), list)
        for index, text in enumerate(self.run):
            with _Collect(self.reader, ("run", index) if listed else ("run",)):
                commands.append(Command(text=in_shell(text, scope)))
        return tuple(commands)

    def _code(self, scope: Mapping[str, Value]) -> Iterable[Code]:
        for index, code in enumerate(self.code):
            path = self._path(("code", index), code.path, scope)
            if path:
                yield code if path == code.path else Code(path=path, exact=code.exact)

    def _output(self, path: str, role: Role, text: keys.OutputText) -> Output:
        cache = self.cache if text.cache is None else text.cache
        return Output(
            path=path, role=role, git=text.git, cache=cache, resume=text.resume, push=text.push, remote=text.remote
        )

    def _path(
        self, at: Path, text: str, scope: Mapping[str, Value], check: Callable[[str], str] = check_path
    ) -> str | None:
        with _Collect(self.reader, at):
            filled = in_path(text, scope) if has_hole(text) else text
            try:
                return check(filled)
            except PathError as error:
                shown = f" ({filled!r})" if filled != text else ""
                raise wrong(f"{error}{shown}") from error
        return None


class _Collect:
    """Turns what is refused in its block into faults of the reader."""

    def __init__(self, reader: Reader, at: Path) -> None:
        self.reader = reader
        self.at = (*reader.at, *at)

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, Refused):
            return False
        self.reader.faults += (below(self.at, fault) for fault in error.faults)
        return True


def _owned(text: str) -> str:
    path = check_path(text)
    if is_glob(path):
        raise PathError("an output may not be a glob")
    if path == ".":
        raise PathError("the project itself cannot be an output")
    return path


def _folder(text: str) -> str:
    path = check_path(text)
    if is_glob(path):
        raise PathError("a folder to run in may not be a glob")
    return path


def _from(cwd: str, path: str) -> str:
    """Spell a path as the command sees it."""
    return path if cwd == "." else posixpath.relpath(path, cwd)
