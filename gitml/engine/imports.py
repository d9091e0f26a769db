"""Follows the static imports of Python files through the repository, as CPython's path finder would.

Where a name is looked up, each folder of the search path is asked in order for a package (`name/__init__.py`), a
module (`name.py`) and an extension module; folders without `__init__.py` are portions of a namespace package and
count only when no folder of the path has one of those (PEP 420). CPython would take an extension before a module of
the same name; there it was built from it, and the source is what Git holds. Names that are nowhere in the repository
are installed or standard modules, and no concern of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from gitml.engine.code import Files, Imported, Unfollowed
from gitml.hashing.pyimports import Import
from gitml.hashing.pysource import PySource

# Names with a platform's tag are asked for inside packages alone: 24 more questions for each name that is no file.
_UNTAGGED = (".so", ".abi3.so")
_TAGGED = tuple(
    f".cpython-3{minor}-{platform}.so"
    for minor in range(8, 16)
    for platform in ("x86_64-linux-gnu", "aarch64-linux-gnu", "darwin")
)

Search = tuple[str, ...]


class Module(NamedTuple):
    """A file as Python loads it: `name` is its dotted name, None for a script, which has no package."""

    path: str
    name: str | None
    search: Search


class Place(NamedTuple):
    """Where a dotted name is: the files that importing it loads, outermost package first, each with its own name.

    `folders`: where submodules are looked for; empty when it is no package. `ignored`: the first file on the way that
    Git leaves out.
    """

    files: tuple[tuple[str, str], ...] = ()
    folders: tuple[str, ...] = ()
    ignored: str | None = None


class Edge(NamedTuple):
    """One file that a file loads, and by which statement; `ignored` when Git leaves it out."""

    target: Module
    via: Imported
    ignored: bool


class Links(NamedTuple):
    """What loading one file leads to; `edges` by their target, in the order of the text."""

    edges: Mapping[Module, Edge]
    dynamic: tuple[Unfollowed, ...]
    probed: frozenset[str]


@dataclass(slots=True)
class Graph:
    """The modules of one state of the files; each is looked at once, however many steps reach it."""

    files: Files
    _places: dict[tuple[Search, str], tuple[Place | None, frozenset[str]]] = field(default_factory=dict)
    _links: dict[Module, Links] = field(default_factory=dict)

    def links(self, module: Module) -> Links:
        """Resolve the imports of a file of the repository."""
        found = self._links.get(module)
        if found is None:
            leaf = not module.path.endswith(".py")
            found = (
                Links({}, (), frozenset())
                if leaf
                else self.resolve(module, self.files.source(module.path), module.path)
            )
            self._links[module] = found
        return found

    def resolve(self, module: Module, source: PySource, shown: str | None) -> Links:
        """Resolve the imports of a source that stands for `module`; `shown` is the path that messages name."""
        edges: dict[Module, Edge] = {}
        dynamic = [Unfollowed(shown, line, text) for line, text in source.dynamic]
        probed: set[str] = set()
        for statement in source.imports:
            name = _absolute(module, statement)
            if name is None:
                dynamic.append(Unfollowed(shown, statement.line, f"{_written(statement)} has no package to start from"))
                continue
            for wanted in self._wanted(module.search, name, statement.names, probed):
                via = Imported(shown, statement.line, wanted)
                for edge in self._edges(module.search, wanted, via, probed):
                    edges.setdefault(edge.target, edge)
        return Links(edges, tuple(dynamic), frozenset(probed))

    def place(self, search: Search, name: str, probed: set[str]) -> Place | None:
        """Find a dotted name; None when it is not in the repository. What was asked for is added to `probed`."""
        known = self._places.get((search, name))
        if known is None:
            asked: set[str] = set()
            known = self._places[search, name] = (self._locate(search, name, asked), frozenset(asked))
        probed |= known[1]
        return known[0]

    def _wanted(self, search: Search, name: str, names: Iterable[str], probed: set[str]) -> Iterator[str]:
        """Name the modules that a statement may load: its own, and each imported name that is a submodule."""
        if name:
            yield name
        package = self.place(search, name, probed) if name else Place(folders=search)
        if package is None or not package.folders:
            return
        for imported in names:
            if imported != "*":
                yield f"{name}.{imported}" if name else imported
            elif package.files and not package.ignored and package.files[-1][1] == name:
                yield from (f"{name}.{exported}" for exported in self.files.source(package.files[-1][0]).exports)

    def _edges(self, search: Search, name: str, via: Imported, probed: set[str]) -> Iterator[Edge]:
        place = self.place(search, name, probed)
        if place is None:
            return
        for path, loaded in place.files:
            yield Edge(Module(path, loaded, search), via, path == place.ignored)

    def _locate(self, search: Search, name: str, asked: set[str]) -> Place | None:
        parent, _, last = name.rpartition(".")
        if not parent:
            return self._in_folders(search, last, name, (), asked)
        package = self.place(search, parent, asked)
        if package is None or package.ignored is not None:
            return package
        found = self._in_folders(package.folders, last, name, _TAGGED, asked)
        if found is None:  # an attribute, or nothing: its package is loaded all the same
            return Place(files=package.files)
        return found._replace(files=package.files + found.files)

    def _in_folders(
        self, folders: Iterable[str], last: str, name: str, tagged: tuple[str, ...], asked: set[str]
    ) -> Place | None:
        """Look for one component of a name as CPython does."""
        portions = []
        for folder in folders:
            stem = last if folder == "." else f"{folder}/{last}"
            for candidate in (stem + "/__init__.py", stem + ".py", *(stem + s for s in (*_UNTAGGED, *tagged))):
                asked.add(candidate)
                held = self.files.is_file(candidate)
                if held or self.files.is_ignored(candidate):
                    inner = (stem,) if candidate.endswith("/__init__.py") else ()
                    return Place(files=((candidate, name),), folders=inner, ignored=None if held else candidate)
            asked.add(stem)
            # A folder that Git ignores may hold modules, but alone it is no package: `import wandb` means the installed
            # one although its runs lie in an ignored `wandb/`.
            if self.files.is_dir(stem) or self.files.is_ignored(stem):
                portions.append(stem)
        return Place(folders=tuple(portions)) if portions else None


def _absolute(module: Module, statement: Import) -> str | None:
    """Give the absolute name of what a statement imports from; None when dots lead nowhere."""
    if not statement.level:
        return statement.module
    if module.name is None:
        return None
    package = module.name.split(".")
    up = statement.level - (1 if module.path.endswith("/__init__.py") else 0)
    if up >= len(package):
        return None
    package = package[: len(package) - up]
    return ".".join(package + ([statement.module] if statement.module else []))


def _written(statement: Import) -> str:
    dots = "." * statement.level + statement.module
    return f"from {dots} import {', '.join(statement.names)}" if statement.names else f"import {dots}"
