"""Finds what is Python in a step's commands by walking through the table of launchers.

A launcher (`uv run`, `nohup`, `torchrun`) is gone past, and what it starts is looked up again, until something is
Python or is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from gitml.engine.launchtable import LAUNCHERS, MODULES, PYTHON, Launcher, Starts
from gitml.engine.shellwords import Simple, Word, split, within
from gitml.model.step import Command

_IS_PYTHON = re.compile(r"(?:python|pythonw|pypy)(?:[23](?:\.\d+)?t?)?(?:\.exe)?\Z")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
_PYTHON_OPTION = re.compile(r"-[bBdEhiIOPqRsSuvVx?]*(?:([mc])(.*))?\Z", re.DOTALL)
_SHELL_TEXT = frozenset(("-c", "-lc", "-ec", "-xc", "-exc", "-euc", "-euxc", "-ic", "-lic"))
_DEEPEST = 20


class Start(NamedTuple):
    """One simple command of a step, read.

    `module` (dotted, from `-m`), `code` (Python text, from `-c` or a here-document) and `scripts` (paths) are what
    Python runs, and none is set when the command is not Python. `words` are all other words that could name files, and
    `patterns` those that the shell would expand; all paths are relative to the project and stay in it. `unclear` says
    what could not be known. `cwd` is where it starts; `search` is what an assignment puts on `PYTHONPATH`.
    """

    cwd: str
    scripts: tuple[str, ...] = ()
    module: str | None = None
    code: str | None = None
    search: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    unclear: str | None = None


def starts(command: Command, cwd: str) -> list[Start]:
    """Read one command of a step that runs in `cwd` (relative to the project), in the order of its text."""
    if command.text is not None:
        simples = split(command.text, cwd)
    else:
        simples = [Simple(cwd=cwd, words=[Word(word) for word in command.argv])]
    return [start for simple in simples for start in _read(simple, 0)]


def _read(simple: Simple, depth: int) -> list[Start]:
    reader = _Reader(simple)
    reader.follow()
    if reader.shell is not None and depth < _DEEPEST and simple.cwd is not None:
        inner = split(reader.shell, simple.cwd)
        return [start for one in inner for start in _read(one, depth + 1)]
    return [reader.start()]


class _Reader:
    """A walk over the words of one simple command."""

    def __init__(self, simple: Simple) -> None:
        self._simple = simple
        self._words = simple.words
        self._at = 0
        self._used: set[int] = set()  # words that are no further files
        self._scripts: list[Word] = []
        self._module: str | None = None
        self._code: str | None = None
        self._search: list[str] = []
        self._unclear: str | None = "text that is no valid shell" if simple.guessed else None
        self.shell: str | None = None

    def follow(self) -> None:
        """Go from launcher to launcher until what is started is found."""
        for _ in range(_DEEPEST):
            self._assignments()
            word = self._peek()
            if word is None:
                return
            name = word.text.rpartition("/")[2]
            launcher = PYTHON if _IS_PYTHON.match(name) else LAUNCHERS.get(name)
            if launcher is None:
                if name.endswith(".py"):
                    self._script(self._at)
                elif not word.known:
                    self._unclear = f"{word.text} names a program only when it runs"
                return
            self._used.add(self._at)
            self._at += 1
            if not self._past(launcher):
                return

    def start(self) -> Start:
        """Give what was found."""
        cwd = self._simple.cwd
        others = [word for index, word in enumerate(self._words) if index not in self._used] + self._simple.reads
        if cwd is None:
            if self._scripts or self._module or self._code:
                self._unclear = self._unclear or "it runs in a folder that is known only when it runs"
            return Start(cwd=".", module=self._module, code=self._code, unclear=self._unclear)
        scripts = []
        for word in self._scripts:
            path = within(cwd, word.text)
            if not word.known:
                self._unclear = f"{word.text} names a script only when it runs"
            elif path is not None:
                scripts.append(path)
        return Start(
            cwd=cwd,
            scripts=tuple(scripts),
            module=self._module,
            code=self._code,
            search=tuple(path for path in (within(cwd, name) for name in self._search) if path is not None),
            words=_paths(cwd, (word for word in others if not word.pattern)),
            patterns=_paths(cwd, (word for word in others if word.pattern)),
            unclear=self._unclear,
        )

    def _past(self, launcher: Launcher) -> bool:
        """Go past a launcher's own words; True when a command, to be looked up, comes next."""
        if launcher is PYTHON:
            return self._past_python()
        if launcher.sub is not None and not self._subcommand(launcher):
            return False
        met = self._past_options(launcher)
        if launcher.starts is Starts.SHELL and met & _SHELL_TEXT:
            self.shell = self._take()
            return False
        self._at += launcher.skip
        kind = Starts.COMMAND if met & launcher.plain else launcher.starts
        return self._target(kind, module=bool(met & launcher.module))

    def _past_options(self, launcher: Launcher) -> set[str]:
        """Go to the first positional word; give the options that were met."""
        met: set[str] = set()
        while (word := self._peek()) is not None:
            if launcher.starts is Starts.COMMAND and _ASSIGNMENT.match(word.text):
                self._assignments()
                continue
            if not word.text.startswith("-"):
                break
            met.add(word.text)
            self._at += 2 if word.text in launcher.values else 1
            if word.text == "--":
                break
        return met

    def _past_python(self) -> bool:
        while (word := self._peek()) is not None and word.text.startswith("-") and word.text != "-":
            self._at += 1
            option = _PYTHON_OPTION.match(word.text)
            if word.text in PYTHON.values:
                self._at += 1
            elif option and option[1] == "m":
                return self._run_module(option[2] or self._take())
            elif option and option[1] == "c":
                self._code = option[2] or self._take()
                return False
        if word is None or word.text == "-":
            self._code = self._simple.stdin
        else:
            self._script(self._at)
        return False

    def _subcommand(self, launcher: Launcher) -> bool:
        while (word := self._peek()) is not None:
            self._at += 2 if word.text in launcher.values else 1
            if not word.text.startswith("-"):
                self._used.add(self._at - 1)
                return word.text == launcher.sub
        return False

    def _target(self, kind: Starts, *, module: bool) -> bool:
        """Take the first positional word after a launcher's options; True when it is a command."""
        word = self._peek()
        if word is None or kind is Starts.SHELL:
            return False
        if kind is Starts.COMMAND:
            prefix, colon, program = word.text.rpartition(":")
            if (
                colon and prefix and "/" not in prefix and self._words[self._at - 1].text == "run"
            ):  # `hatch run env:python`
                self._words[self._at] = word._replace(text=program)
            return True
        if module:
            return self._run_module(self._take())
        rest = [i for i in range(self._at, len(self._words)) if self._words[i].text.partition("::")[0].endswith(".py")]
        if kind is Starts.FILES:
            for index in rest:
                self._script(index)
            if not rest:
                self._unclear = f"{self._words[0].text} finds its files when it runs"
        elif kind is Starts.PYTHON:  # an option with a value that the table lacks must not hide the script
            self._script(rest[0] if rest else self._at)
        elif word.text.endswith(".py"):
            self._script(self._at)
        else:
            return True
        return False

    def _run_module(self, name: str | None) -> bool:
        if name in MODULES:
            return self._past(MODULES[name])
        self._module = name
        return False

    def _script(self, index: int) -> None:
        word = self._words[index]
        self._used.add(index)
        self._scripts.append(word._replace(text=word.text.partition("::")[0]))

    def _assignments(self) -> None:
        while (word := self._peek()) is not None and _ASSIGNMENT.match(word.text):
            name, _, value = word.text.partition("=")
            if name == "PYTHONPATH":
                self._search.extend(part for part in value.split(":") if part and "$" not in part)
            self._at += 1

    def _peek(self) -> Word | None:
        return self._words[self._at] if self._at < len(self._words) else None

    def _take(self) -> str | None:
        """Take the next word as a value that is no path."""
        word = self._peek()
        if word is None:
            return None
        self._used.add(self._at)
        self._at += 1
        if not word.known:
            self._unclear = f"{word.text} is known only when it runs"
        return word.text


def _paths(cwd: str, words: Iterable[Word]) -> tuple[str, ...]:
    """Give the paths in the project that words, or the values of `name=value`, may name; each once, in order."""
    texts = (text for word in words if word.known for text in (word.text, word.text.partition("=")[2]) if text)
    found = (within(cwd, text) for text in texts)
    return tuple(dict.fromkeys(path for path in found if path is not None and path != "."))
