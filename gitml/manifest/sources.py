"""From the tables `[source."PATH"]` to declared sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from gitml.manifest import keys
from gitml.manifest.graph import fold
from gitml.manifest.interpolate import in_path
from gitml.manifest.problems import Fault
from gitml.manifest.steps import Instance
from gitml.manifest.table import Reader, Refused, below
from gitml.model.path import PathError, check_path, is_glob, parents
from gitml.model.source import SourceDeclaration
from gitml.model.url import UrlError, check_url
from gitml.model.value import Value

if TYPE_CHECKING:
    from gitml.manifest.positions import Path

_EXPECTED = (keys.SOURCE_BLAKE3, keys.SOURCE_SHA256, keys.SOURCE_MD5)


class Declared(NamedTuple):
    """A source and where it is declared."""

    source: SourceDeclaration
    at: Path


def read_sources(raw: Mapping[str, object], params: Mapping[str, Value], faults: list[Fault]) -> list[Declared]:
    """Read every declared source; what is wrong goes to `faults`, with whole paths."""
    found = []
    for name, table in raw.items():
        reader = Reader(table, keys.SOURCE, ("source", name))
        source = _source(name, reader, params)
        if source is not None:
            found.append(Declared(source, reader.at))
        faults += reader.faults
    return found


def refuse_overlaps(sources: Sequence[Declared], instances: Sequence[Instance], faults: list[Fault]) -> None:
    """Refuse a source that is, holds or lies in another source or an output: a path has one owner.

    Paths are compared as the most forgiving file system does.
    """
    if not sources:
        return
    owners = _Owners()
    for instance in instances:
        for output in instance.step.outputs:
            owners.add(output.path, f"output {output.path} of step '{instance.step.name}'")
    for source, at in sources:
        other = owners.of(source.path)
        if other is not None:
            hint = "a path has one owner: download it to another place"
            faults.append(Fault(path=at, message=f"source {source.path} overlaps {other}", hint=hint))
        owners.add(source.path, f"source {source.path}")


class _Owners:
    """Names what owns a path, a folder above it, or something below it."""

    def __init__(self) -> None:
        self._exact: dict[str, str] = {}
        self._below: dict[str, str] = {}

    def add(self, path: str, owner: str) -> None:
        folded = fold(path)
        self._exact.setdefault(folded, owner)
        for folder in parents(folded):
            self._below.setdefault(folder, owner)

    def of(self, path: str) -> str | None:
        folded = fold(path)
        above = (self._exact[one] for one in (folded, *parents(folded)) if one in self._exact)
        return next(above, self._below.get(folded))


def _source(name: str, reader: Reader, params: Mapping[str, Value]) -> SourceDeclaration | None:
    path = _path(name, reader)
    text = reader.get(keys.URL)
    expected = tuple((key.name, digits) for key in _EXPECTED if (digits := reader.get(key)) is not None)
    url = _url(text, reader, params) if text else None
    return SourceDeclaration(path=path, url=url, expected=expected) if path and url else None


def _path(name: str, reader: Reader) -> str | None:
    try:
        path = check_path(name)
    except PathError as error:
        reader.refuse((), str(error))
        return None
    if is_glob(path) or path == ".":
        reader.refuse((), "a source may not be a glob" if is_glob(path) else "the project itself cannot be a source")
        return None
    return path


def _url(text: str, reader: Reader, params: Mapping[str, Value]) -> str | None:
    at: Path = (*reader.at, "url")
    try:
        return check_url(in_path(text, {"params": params}))
    except Refused as refused:
        reader.faults += (below(at, fault) for fault in refused.faults)
    except UrlError as error:
        reader.faults.append(Fault(path=at, message=str(error), hint=error.hint, value=True, secret=error.secret))
    return None
