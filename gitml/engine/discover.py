"""Finds the code of a step: what its commands start or name, what that imports, and what is declared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

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


@dataclass(frozen=True, slots=True)
class _Closure:
    """All that one Python file reaches, itself first."""

    found: tuple[tuple[str, Via], ...]
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
            known = self._closures[module] = self._walk(self._graph.links(module), [(module.path, Started())], {module})
        return known

    def text_closure(self, text: str, search: tuple[str, ...]) -> _Closure:
        """Give what Python text of a command reaches."""
        source = analyse(text.encode("utf-8", "surrogateescape"))
        return self._walk(self._graph.resolve(Module("", None, search), source, None), [], set())

    def loaded(self, name: str, search: tuple[str, ...], probed: set[str]) -> list[tuple[Module, bool]]:
        """Give the files that importing a dotted name loads, each with whether Git ignores it; none when installed."""
        place = self._graph.place(search, name, probed)
        return [(Module(path, own, search), path == place.ignored) for path, own in place.files] if place else []

    def main_of(self, name: str, search: tuple[str, ...], probed: set[str]) -> str:
        """Give the module that `python -m name` runs: a package's `__main__`, else the name itself."""
        place = self._graph.place(search, name, probed)
        return f"{name}.__main__" if place is not None and place.folders else name

    def _walk(self, first: Links, found: list[tuple[str, Via]], seen: set[Module]) -> _Closure:
        """Go through the graph, nearest files first."""
        paths = {path for path, _ in found}
        ignored: list[Edge] = []
        dynamic: list[Unfollowed] = []
        probed: set[str] = set()
        waiting = [first]
        for links in waiting:  # it grows while it is read
            dynamic.extend(links.dynamic)
            probed |= links.probed
            for edge in links.edges:
                if edge.target in seen:
                    continue
                seen.add(edge.target)
                if edge.ignored:
                    ignored.append(edge)
                    continue
                if edge.target.path not in paths:
                    paths.add(edge.target.path)
                    found.append((edge.target.path, edge.via))
                waiting.append(self._graph.links(edge.target))
        return _Closure(tuple(found), tuple(ignored), tuple(dynamic), frozenset(probed))

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
    found: dict[str, Found] = field(default_factory=dict)
    dynamic: dict[Unfollowed, None] = field(default_factory=dict)
    probed: set[str] = field(default_factory=set)
    data: Callable[[str], bool] = field(init=False)

    def __post_init__(self) -> None:
        self.data = _holder([*self.step.inputs, *(output.path for output in self.step.outputs)])

    def result(self) -> Discovery:
        """Give all that was gathered."""
        dynamic = sorted(self.dynamic, key=lambda d: (d.path or "", d.line, d.text))
        return Discovery(
            found={path: self.found[path] for path in sorted(self.found)},
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
            if code.exact or not path.endswith(".py"):
                self._add(path, exact=True, via=via, wins=code.exact)
            else:
                for module in self._modules(path):
                    self._python(module, via)

    def start(self, start: Start) -> None:
        """Add what one simple command runs and names."""
        if start.unclear is not None:
            self.dynamic[Unfollowed(None, 0, start.unclear)] = None
        for script in start.scripts:
            self._script(script, start)
        roots = _unique(start.search, self.discoverer.roots, (start.cwd,))
        if start.module is not None:
            self._module(start.module, roots)
        if start.code is not None:
            search = _unique((start.cwd,), start.search, self.discoverer.roots)
            self._reached(self.discoverer.text_closure(start.code, search), None)
        for word in start.words:
            self._word(word, [word] if self._is_file(word) else [])
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
        for path in paths:
            if not self.data(path):
                self._add(path, exact=True, via=Named())

    def _python(self, module: Module, via: Via) -> None:
        self._reached(self.discoverer.closure(module), via)

    def _reached(self, closure: _Closure, via: Via | None) -> None:
        """Take over a closure, whose first file is there for the reason `via`."""
        for edge in closure.ignored:
            if not self.data(edge.target.path):
                raise ignored_error(self.step.id, edge.target.path, edge.via)
        for path, reason in closure.found:
            self._add(path, exact=not path.endswith(".py"), via=via or reason)
            via = None
        self.dynamic.update(dict.fromkeys(closure.dynamic))
        self.probed |= closure.probed

    def _add(self, path: str, *, exact: bool, via: Via, wins: bool = False) -> None:
        """Add a file: bytes that are declared exact win over Python, and Python over a mere word."""
        known = self.found.get(path)
        self.probed.add(path)
        if known is None or wins:
            self.found[path] = Found(path=path, exact=exact, via=via)
        elif known.exact and not exact and not self._exact(known):
            self.found[path] = Found(path=path, exact=False, via=via)

    def _exact(self, found: Found) -> bool:
        return any(code.exact and found.via == Declared(code.path) for code in self.step.code)

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


def _unique(*folders: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(folder for group in folders for folder in group))
