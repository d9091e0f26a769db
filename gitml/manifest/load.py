"""From the files that a user wrote to a compiled pipeline, or to all that is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gitml.errors import UsageError
from gitml.manifest import keys
from gitml.manifest.graph import connect
from gitml.manifest.params import SUFFIXES, merge, parse, too_deep
from gitml.manifest.problems import Fault, ManifestError, Source, nearest, refuse
from gitml.manifest.sources import read_sources, refuse_overlaps
from gitml.manifest.steps import Instance, read_steps
from gitml.manifest.table import Reader
from gitml.manifest.text import MAX_BYTES, decode, parse_toml
from gitml.model.path import PathError, check_path, is_glob
from gitml.model.pipeline import Pipeline
from gitml.model.value import Value
from gitml.version import __version__

if TYPE_CHECKING:
    from gitml.manifest.environment import Environment
    from gitml.manifest.positions import Path

MANIFEST = "gitml.toml"
PYPROJECT = "pyproject.toml"
Read = Callable[[str], "bytes | None"]

__all__ = ["MANIFEST", "MAX_BYTES", "PYPROJECT", "Read", "load"]


def load(read: Read) -> Pipeline:
    """Compile the project whose files `read` gives.

    `read` takes a path relative to the project and gives the file's bytes, or None where there is none; it should
    refuse a file larger than `MAX_BYTES` before reading it. The result depends on those bytes and on nothing else.

    Raises:
        ManifestError: All that is wrong in meaning, or the first mistake in syntax.
        UsageError: There is no declaration, or there are two.
    """
    source, raw = _find(read)
    faults: list[Fault] = []
    root = Reader(raw, keys.MANIFEST)
    project = Reader(root.get(keys.PROJECT_TABLE), keys.PROJECT, ("project",))
    _check_version(source, project.get(keys.MIN_VERSION))
    params, files = _params(read, source, root, project)
    instances = read_steps(steps := root.get(keys.STEPS_TABLE), params, faults)
    sources = read_sources(root.get(keys.SOURCES_TABLE), params, faults)
    refuse_overlaps(sources, instances, faults)
    graph = connect(instances, tuple(steps), faults)
    roots = [_checked(project, ("roots", i), text) for i, text in enumerate(project.get(keys.ROOTS))]
    environment, packages = _packages(read, project, instances, faults)
    refuse(source, [*root.faults, *project.faults, *faults])
    after = graph.after
    return Pipeline(
        files=(source.file, *files, *([environment] if environment and packages else ())),
        steps={i.step.id: replace(i.step, after=after[i.step.id]) if i.step.id in after else i.step for i in instances},
        upstream=graph.upstream,
        order=graph.order,
        params=params,
        roots=tuple(root for root in roots if root),
        environment=environment,
        packages=packages,
        sources={declared.source.path: declared.source for declared in sources},
    )


def _find(read: Read) -> tuple[Source, dict[str, Any]]:
    """Find the one file that declares the project, and its table."""
    own, shared = read(MANIFEST), read(PYPROJECT)
    table: object = None
    text = ""
    if shared is not None and (own is None or b"gitml" in shared):
        text = decode(PYPROJECT, shared)
        tool = parse_toml(PYPROJECT, text).get("tool")
        table = tool.get("gitml") if isinstance(tool, dict) else None
    if own is not None and table is not None:
        hint = "keep one of them: gitml.toml, or [tool.gitml] in pyproject.toml"
        raise ManifestError(
            [
                Source(file=PYPROJECT, text=text).problem(
                    Fault(path=("tool", "gitml"), message="the project is declared here and in gitml.toml", hint=hint)
                )
            ]
        )
    if own is not None:
        text = decode(MANIFEST, own)
        return Source(file=MANIFEST, text=text), parse_toml(MANIFEST, text)
    if table is None:
        raise UsageError("no gitml.toml, and no [tool.gitml] in pyproject.toml", hint="gitml init")
    source = Source(file=PYPROJECT, text=text, prefix=("tool", "gitml"))
    if not isinstance(table, dict):
        raise ManifestError([source.problem(Fault(path=(), message="tool.gitml must be a table"))])
    return source, table


def _check_version(source: Source, needed: str | None) -> None:
    """Refuse a file for a later gitml before anything else in it is judged: what it says may be new."""
    if needed is not None and _version(needed) > _version(__version__):
        message = f"this project needs gitml {needed} or later; this is {__version__}"
        refuse(source, [Fault(path=("project", "min_version"), message=message, hint="upgrade gitml", value=True)])


def _version(text: str) -> tuple[int, ...]:
    numbers: list[int] = []
    for part in text.split("."):
        if not part.isdecimal() or len(part) > 9:
            break
        numbers.append(int(part))
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _params(read: Read, source: Source, root: Reader, project: Reader) -> tuple[dict[str, Value], list[str]]:
    own = root.get(keys.PARAMS_TABLE)
    if path := too_deep(own):
        root.refuse(("params", *path[:1]), "values are nested deeper than 64 levels")
        own = {}
    parts: list[tuple[str, Mapping[str, Value]]] = [(f"[params] of {source.file}", own)]
    files: list[str] = []
    spots: dict[str, int] = {}
    for index, text in enumerate(project.get(keys.PARAMS_FILES)):
        file = _checked(project, ("params", index), text)
        data = _read_params(read, project, index, file, files) if file else None
        if file and data is not None:
            parts.append((file, parse(file, data)))
            files.append(file)
            spots[file] = index
    merged, clashes = merge(parts)
    for path, first, second in clashes:
        name = ".".join(str(part) for part in path)
        project.refuse(
            ("params", spots[second]), f"parameter '{name}' is defined in {first} and in {second}", value=True
        )
    return merged, files


def _read_params(read: Read, project: Reader, index: int, file: str, files: list[str]) -> bytes | None:
    at: Path = ("params", index)
    if file in files:
        project.refuse(at, f"{file} is listed twice", value=True)
    elif not file.endswith(SUFFIXES):
        project.refuse(at, f"{file} is not a parameter file", f"use one of {', '.join(SUFFIXES)}", value=True)
    else:
        data = read(file)
        if data is None:
            project.refuse(at, f"there is no file {file}", value=True)
        return data
    return None


def _packages(
    read: Read, project: Reader, instances: Sequence[Instance], faults: list[Fault]
) -> tuple[str | None, dict[str, Value]]:
    """Find what each named package stands for; the file is read only where a package is named."""
    text = project.get(keys.ENVIRONMENT)
    file = _checked(project, ("environment",), text) if text else None
    spots: dict[str, Path] = {}
    for instance in instances:
        step = instance.step
        for index, name in enumerate(step.packages):
            spots.setdefault(name, ("step", step.name, "packages", index))
    if not spots:
        return file, {}
    locked = _environment(read, project, file) if file else None
    if not text:
        hint = 'name the file that locks them: [project] environment = "uv.lock"'
        at = next(iter(spots.values()))
        faults.append(Fault(path=at, message="'packages' needs an environment", hint=hint, value=True))
    if locked is None:
        return file, {}
    for name, at in spots.items():
        if name not in locked.pins:
            message = f"package '{name}' is not in {file}"
            faults.append(Fault(path=at, message=message, hint=nearest(name, locked.pins), value=True))
    return file, {name: locked.closure(name) for name in spots if name in locked.pins}


def _environment(read: Read, project: Reader, file: str) -> Environment | None:
    from gitml.manifest.environment import (  # noqa: PLC0415 - only steps with packages need it
        is_environment,
        read_environment,
    )

    if not is_environment(file):
        hint = "use uv.lock, poetry.lock, pylock.toml or a requirements.txt of '==' pins"
        project.refuse(("environment",), f"{file} is not a lock file that gitml knows", hint, value=True)
        return None
    data = read(file)
    if data is None:
        project.refuse(("environment",), f"there is no file {file}", value=True)
        return None
    return read_environment(file, data)


def _checked(reader: Reader, at: Path, text: str) -> str | None:
    """Give a path in its one spelling; None, and a fault, where it must not be looked at."""
    try:
        path = check_path(text)
    except PathError as error:
        reader.refuse(at, str(error), value=True)
        return None
    if is_glob(path):
        reader.refuse(at, "this path may not be a glob", value=True)
        return None
    return path
