"""A step as declared, after its matrix, parameters and `${{ }}` are resolved: one value per instance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from gitml.model.value import Value


class Role(str, Enum):
    """Why an output is declared; part of the key, since metrics and plots are read by gitml itself."""

    OUTPUT = "output"
    METRICS = "metrics"
    PLOTS = "plots"


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """Either one line for the shell (`text`) or words that are run as they are (`argv`), never both."""

    text: str | None = None
    argv: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """A path that a step writes and alone owns.

    `git`: held by Git instead of the store. `cache`: kept in the store. `resume`: what a failed attempt left is handed
    to the next attempt of the same key. `push` and `remote` say where it is shared.
    """

    path: str
    role: Role = Role.OUTPUT
    git: bool = False
    cache: bool = True
    resume: bool = False
    push: bool = True
    remote: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Code:
    """A path or glob of more code files; `exact` keys their bytes even where they are Python."""

    path: str
    exact: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """What one execution takes while it runs: CPUs and GPUs by number, memory in bytes (0: not counted)."""

    cpus: float = 1
    gpus: int = 0
    memory: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One instance of a declared step; all paths are relative to the project and checked.

    `id` is `name` or `name@instance`. `inputs` and `code` may be globs. `params` maps the dotted names that the step
    declares to their values; parameters used through `${{ }}` are part of `commands`. `timeout` is in seconds.
    `after` names steps (ids, already expanded from families) that come first but do not enter the key.
    """

    id: str
    name: str
    instance: str | None = None
    matrix: Mapping[str, Value] = field(default_factory=dict)
    commands: tuple[Command, ...] = ()
    shell: str | None = None
    cwd: str = "."
    inputs: tuple[str, ...] = ()
    outputs: tuple[Output, ...] = ()
    params: Mapping[str, Value] = field(default_factory=dict)
    code: tuple[Code, ...] = ()
    env: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    resources: Resources = Resources()
    timeout: float | None = None
    retries: int = 0
    always: bool = False
    frozen: bool = False
    description: str = ""
    labels: tuple[str, ...] = ()
