"""Finds the code of a step: what its commands start or name, what that imports, and what is declared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from gitml.engine.code import (
    CodeError,
    Declared,
    Discovery,
    Files,
    Found,
    Imported,
    Named,
    Started,
    Unfollowed,
    Via,
    ignored_error,
)
from gitml.engine.imports import Edge, Graph, Links, Module
from gitml.engine.launchers import Start, starts
from gitml.hashing.pysource import analyse
from gitml.model.glob import compile_glob
from gitml.model.path import is_glob, is_within
from gitml.model.step import Code, Step

__all__ = [
    "CodeError",
    "Declared",
    "Discoverer",
    "Discovery",
    "Files",
    "Found",
    "Imported",
    "Named",
    "Started",
    "Unfollowed",
    "Via",
    "discover",
]


class _Closure(NamedTuple):
    """All that one Python file reaches, itself among it, with the reasons that hold whichever step starts it."""

    found: Mapping[str, Found]
    ignored: tuple[Edge, ...]
    dynamic: tuple[Unfollowed, ...]
    probed: frozenset[str]


def discover(step: Step, roots: Sequence[str], files: Files) -> Discovery:
    """Find the code of one step; for several, keep a `Discoverer`."""
    return Discoverer(files, roots).discover(step)


class Discoverer:
    """Finds the code of the steps of one project in one state of its files, which must not change meanwhile."""

    def __init__(self, files: Files, roots: Sequence[str]) -> None:
        self._files = files
        self._roots = tuple(roots)
        self._graph = Graph(files)
        self._closures: dict[Module, _Closure] = {}

    def discover(self, step: Step) -> Discovery:
        """Find the code of a step.

        Raises:
            CodeError: A file that it starts, imports or declares is not there, or Git ignores it.
        """
        search = _Search(self, step)
        for code in step.code:
            search.declared(code)
        for command in step.commands:
            for start in starts(command, step.cwd):
                search.start(start)
        return search.result()

    def closure(self, module: Module) -> _Closure:
        """Give what a file of the repository reaches, remembered between steps."""
        known = self._closures.get(module)
        if known is None:
            itself = _found(module.path, Started())
            known = self._closures[module] = self._walk(self._graph.links(module), {module.path: itself}, {module})
        return known

    def text_closure(self, text: str, search: tuple[str, ...]) -> _Closure:
        """Give what Python text of a command reaches."""
        source = analyse(text.encode("utf-8", "surrogateescape"))
        return self._walk(self._graph.resolve(Module("", None, search), source, None), {}, set())

    def loaded(self, name: str, search: tuple[str, ...], probed: set[str]) -> list[tuple[Module, bool]]:
        """Give the files that importing a dotted name loads, each with whether Git ignores it; none when installed."""
        place = self._graph.place(search, name, probed)
        return [(Module(path, own, search), path == place.ignored) for path, own in place.files] if place else []

    def main_of(self, name: str, search: tuple[str, ...], probed: set[str]) -> str:
        """Give the module that `python -m name` runs: a package's `__main__`, else the name itself."""
        place = self._graph.place(search, name, probed)
        return f"{name}.__main__" if place is not None and place.folders else name

    def _walk(self, first: Links, found: dict[str, Found], seen: set[Module]) -> _Closure:
        """Go through the graph, nearest files first; 200 modules with 10 imports each take a millisecond."""
        ignored: list[Edge] = []
        waiting = [first]
        for links in waiting:  # it grows while it is read
            for target, edge in links.edges.items():
                if target in seen:
                    continue
                seen.add(target)
                if edge.ignored:
                    ignored.append(edge)
                    continue
                if target.path not in found:
                    found[target.path] = _found(target.path, edge.via)
                waiting.append(self._graph.links(target))
        return _Closure(
            found={path: found[path] for path in sorted(found)},
            ignored=tuple(ignored),
            dynamic=tuple(unfollowed for links in waiting for unfollowed in links.dynamic),
            probed=frozenset().union(found, *(links.probed for links in waiting)),
        )

    @property
    def files(self) -> Files:
        """The state of the files."""
        return self._files

    @property
    def roots(self) -> tuple[str, ...]:
        """Where imports are looked up."""
        return self._roots


@dataclass(slots=True)
class _Search:
    """The code of one step, as it is gathered."""

    discoverer: Discoverer
    step: Step
    exact: dict[str, Found] = field(default_factory=dict)  # declared so: wins over Python, which wins over mere bytes
    python: dict[str, Found] = field(default_factory=dict)
    bytewise: dict[str, Found] = field(default_factory=dict)
    dynamic: set[Unfollowed] = field(default_factory=set)
    probed: set[str] = field(default_factory=set)
    data: Callable[[str], bool] = field(init=False)

    def __post_init__(self) -> None:
        self.data = _holder([*self.step.inputs, *(output.path for output in self.step.outputs)])

    def result(self) -> Discovery:
        """Give all that was gathered."""
        dynamic = sorted(self.dynamic, key=lambda d: (d.path or "", d.line, d.text))
        found = {**self.bytewise, **self.python, **self.exact}
        return Discovery(
            found={path: found[path] for path in sorted(found)},
            dynamic=tuple(dynamic),
            probed=frozenset(self.probed),
        )

    def declared(self, code: Code) -> None:
        """Add the files of one `code` entry; Python files lead on to what they import, unless their bytes count."""
        via = Declared(code.path)
        paths = self.discoverer.files.glob(code.path)
        self.probed.add(code.path)
        if not paths:
            raise self._nothing(code.path, via)
        for path in paths:
            self.probed.add(path)
            if code.exact:
                self.exact.setdefault(path, Found(path=path, exact=True, via=via))
            elif not path.endswith(".py"):
                self.bytewise.setdefault(path, Found(path=path, exact=True, via=via))
            else:
                for module in self._modules(path):
                    self._python(module, via)

    def start(self, start: Start) -> None:
        """Add what one simple command runs and names."""
        if start.unclear is not None:
            self.dynamic.add(Unfollowed(None, 0, start.unclear))
        for script in start.scripts:
            self._script(script, start)
        roots = _unique(start.search, self.discoverer.roots, (start.cwd,))
        if start.module is not None:
            self._module(start.module, roots)
        if start.code is not None:
            search = _unique((start.cwd,), start.search, self.discoverer.roots)
            self._reached(self.discoverer.text_closure(start.code, search))
        for word in start.words:
            self._word(word, [word] if self.discoverer.files.is_file(word) else [])
        for pattern in start.patterns:
            self._word(pattern, self.discoverer.files.glob(pattern))

    def _module(self, name: str, search: tuple[str, ...]) -> None:
        """Add what `python -m name` loads: the module, or a package's `__main__`, after the packages around it."""
        name = self.discoverer.main_of(name, search, self.probed)
        loaded = self.discoverer.loaded(name, search, self.probed)
        for module, ignored in loaded:
            if not ignored:
                self._python(module, Started())
            elif not self.data(module.path):
                raise ignored_error(self.step.id, module.path, Started())
        if loaded and loaded[-1][0].name != name and not loaded[-1][1]:
            path = loaded[-1][0].path.rpartition("/")[0] + "/" + name.rpartition(".")[2] + ".py"
            if not self.data(path):
                raise self._missing(path)

    def _script(self, path: str, start: Start) -> None:
        """Add a script; a folder is run by its `__main__.py`."""
        if not self._is_file(path) and self._is_file(path + "/__main__.py"):
            path += "/__main__.py"
        if self._is_file(path):
            folder = path.rpartition("/")[0] or "."
            search = _unique((folder,), start.search, self.discoverer.roots)
            self._python(Module(path, None, search), Started())
        elif self.data(path):
            return  # another step makes it, or it is keyed as an input
        elif self.discoverer.files.is_ignored(path):
            raise ignored_error(self.step.id, path, Started())
        else:
            raise self._missing(path)

    def _word(self, word: str, paths: Iterable[str]) -> None:
        self.probed.add(word)
        for path in paths:
            if not self.data(path):
                self.bytewise.setdefault(path, Found(path=path, exact=True, via=Named()))

    def _python(self, module: Module, via: Via) -> None:
        """Add a file that is there for the reason `via`, and all that it reaches."""
        self.python.setdefault(module.path, _found(module.path, via))
        self._reached(self.discoverer.closure(module))

    def _reached(self, closure: _Closure) -> None:
        for edge in closure.ignored:
            if not self.data(edge.target.path):
                raise ignored_error(self.step.id, edge.target.path, edge.via)
        self.python = {**closure.found, **self.python}
        self.dynamic.update(closure.dynamic)
        self.probed |= closure.probed

    def _modules(self, path: str) -> list[Module]:
        """Give a declared file, named as it can be imported, after the packages that importing it loads."""
        roots = self.discoverer.roots
        search = _unique(roots, (path.rpartition("/")[0] or ".",))
        for root in sorted((r for r in roots if is_within(path, r)), key=len, reverse=True):
            inner = path if root == "." else path[len(root) + 1 :]
            parts = inner.removesuffix(".py").removesuffix("/__init__").split("/")
            if all(part.isidentifier() for part in parts):
                loaded = self.discoverer.loaded(".".join(parts), search, self.probed)
                if loaded and loaded[-1][0].path == path:
                    return [module for module, ignored in loaded if not ignored]
        return [Module(path, None, search)]

    def _is_file(self, path: str) -> bool:
        self.probed.add(path)
        return self.discoverer.files.is_file(path)

    def _missing(self, path: str) -> CodeError:
        return CodeError(
            f"step {self.step.id}: {path}, which its command starts, does not exist",
            path=path,
            via=Started(),
            hint="mend the command, or list the file under inputs if another step makes it",
        )

    def _nothing(self, declared: str, via: Via) -> CodeError:
        if not is_glob(declared) and self.discoverer.files.is_ignored(declared):
            return ignored_error(self.step.id, declared, via)
        return CodeError(
            f"step {self.step.id}: no file that Git holds matches code {declared}",
            path=declared,
            via=via,
            hint="mend the entry, or `git add` the file",
        )


def _holder(declared: Sequence[str]) -> Callable[[str], bool]:
    """Make the predicate of paths that are one of the declared ones, match one, or lie within one."""
    plain = [path for path in declared if not is_glob(path)]
    globs = [compile_glob(path) for path in declared if is_glob(path)]

    def holds(path: str) -> bool:
        if any(is_within(path, folder) for folder in plain):
            return True
        parts = path.split("/")
        return any(match("/".join(parts[:n])) for match in globs for n in range(1, len(parts) + 1))

    return holds


def _found(path: str, via: Via) -> Found:
    """Make the entry of a file that Python loads: an extension module has no other digest than its bytes."""
    return Found(path=path, exact=not path.endswith(".py"), via=via)


def _unique(*folders: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(folder for group in folders for folder in group))
