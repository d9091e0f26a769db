"""The imports of a lexed Python file: those that name their module, and those that only a run can resolve."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gitml.hashing.pylexer import DEDENT, INDENT, LINE, Tokens, line_of

_LONGEST = 80


class Import(NamedTuple):
    """One module that a statement, or a call with a literal, imports.

    `level` counts the dots of a relative import. `names` is empty for `import a.b`, `("*",)` for a star.
    """

    line: int
    level: int
    module: str
    names: tuple[str, ...] = ()


class Dynamic(NamedTuple):
    """An import that cannot be followed: its line and its text, cut to what a message can show."""

    line: int
    text: str


class Scan(NamedTuple):
    """What one file holds; see `gitml.hashing.pysource.PySource`."""

    imports: tuple[Import, ...]
    dynamic: tuple[Dynamic, ...]
    exports: tuple[str, ...]


_STARTS = frozenset((LINE, INDENT, DEDENT, b";", b":"))  # what stands before a statement
_OPENING = frozenset((b"(", b"[", b"{"))
_CLOSING = frozenset((b")", b"]", b"}"))
_LITERAL_CALLS = frozenset((b"import_module", b"__import__"))
# A call of one of these loads code that its arguments name at run time.
_LOADERS = frozenset(
    (
        b"addsitedir",
        b"spec_from_file_location",
        b"SourceFileLoader",
        b"load_source",
        b"walk_packages",
        b"run_path",
        b"run_module",
    )
)
_READERS = frozenset((b"open", b"read", b"read_text", b"read_bytes"))
_SEARCH_PATH_CHANGES = frozenset((b"append", b"insert", b"extend"))
_WATCHED = frozenset((b"import", b"from", b"exec", b"__all__", b"path")) | _LITERAL_CALLS | _LOADERS
_PACKAGE_NAMES = frozenset((b"fromlist", b"level", b"globals", b"locals", b"None", b"="))


def scan(tokens: Tokens | None) -> Scan:
    """Collect the imports of a file in the order of its text."""
    if tokens is None:
        return Scan((), (), ())
    return _Scanner(tokens).run()


class _Scanner:
    def __init__(self, tokens: Tokens) -> None:
        self.texts = tokens.texts
        self.lines = tokens.lines
        self.imports: list[Import] = []
        self.dynamic: list[Dynamic] = []
        self.exports: list[str] = []

    def run(self) -> Scan:
        done = 0
        for index, text in enumerate(self.texts):
            if text in _WATCHED and index >= done:
                done = self._watched(index, text)
        return Scan(tuple(self.imports), tuple(self.dynamic), tuple(self.exports))

    def _watched(self, index: int, text: bytes) -> int:
        """Look at one token; give the index before which no other need be looked at."""
        before = self._at(index - 1) if index else LINE
        if text in (b"import", b"from"):
            if before not in _STARTS:
                return index  # `yield from`, `raise … from`
            return self._plain(index + 1) if text == b"import" else self._from(index + 1)
        if before not in (b"def", b"class"):
            self._name(index, text, before)
        return index

    def _name(self, index: int, text: bytes, before: bytes) -> None:
        """Look at a name that may stand for an import."""
        if text == b"__all__":
            if before in _STARTS:
                self._all(index + 1)
        elif text == b"path":
            if before == b"." and self._at(index - 2) == b"sys":
                self._search_path(index)
        elif text in _LITERAL_CALLS:
            self._call(index, text)
        elif self._at(index + 1) == b"(":
            reads = not _READERS.isdisjoint(self._inside(index + 1))
            if text in _LOADERS or (text == b"exec" and before != b"." and reads):
                self._cannot_follow(index)

    def _search_path(self, index: int) -> None:
        """Note `sys.path.insert(...)` and the like: what it makes importable is known only when it runs."""
        if self._at(index + 1) == b"." and self._at(index + 2) in _SEARCH_PATH_CHANGES:
            self._cannot_follow(index + 2)
        elif self._at(index + 1) in (b"=", b"+=") or self.texts[index + 1 : index + 3] == [b"[", b":"]:
            self._cannot_follow(index)

    def _plain(self, at: int) -> int:
        """Read `import a.b as c, d` after its first word."""
        line = self._line(at)
        while True:
            _, module, at = self._dotted(at)
            if module:
                self.imports.append(Import(line, 0, module))
            if self._at(at) == b"as":
                at += 2
            if self._at(at) != b",":
                return at
            at += 1

    def _from(self, at: int) -> int:
        """Read `from .a import (b as c, d)` after its first word."""
        line = self._line(at)
        level, module, at = self._dotted(at)
        if self._at(at) != b"import" or not (level or module):
            return at
        names: list[str] = []
        at += 1
        while (text := self._at(at)) not in (b"", b")", b";", LINE, DEDENT):
            if text == b"as":
                if names[-1:] == ["import_module"]:
                    self._cannot_follow(at - 1, at + 2)
                at += 1
            elif text not in (b"(", b",") and text[-1:] != b"#":
                names.append(_text(text))
            at += 1
        self.imports.append(Import(line, level, module, tuple(names)))
        return at

    def _dotted(self, at: int) -> tuple[int, str, int]:
        """Read dots, then a dotted name; give their number, the name, and the index after them."""
        level = 0
        while self._at(at) in (b".", b"..."):
            level += len(self._at(at))
            at += 1
        parts = []
        while _is_name(self._at(at)) and self._at(at) != b"import":
            parts.append(_text(self._at(at)))
            at += 1
            if self._at(at) != b".":
                break
            at += 1
        return level, ".".join(parts), at

    def _all(self, at: int) -> None:
        """Read the strings of `__all__ = [...]`; an `__all__` that is computed names nothing."""
        while self._at(at) not in (b"=", b"+=", b"", LINE):
            at += 1
        if self._at(at + 1) in (b"[", b"("):
            self.exports.extend(name for name in map(_literal, self._inside(at + 1)) if name is not None)

    def _call(self, index: int, function: bytes) -> None:
        """Follow `import_module("a.b")` and `__import__("a.b")`; anything but a literal is dynamic."""
        if self._at(index + 1) != b"(":
            if self._at(index + 1) != b"=":
                self._cannot_follow(index)
            return
        arguments = list(self._inside(index + 1))
        module = _literal(arguments[0]) if arguments else None
        rest = arguments[2:]
        if module is None or (len(arguments) > 1 and arguments[1] != b","):
            self._cannot_follow(index)
            return
        relative = len(module) - len(module.lstrip("."))
        line = self._line(index)
        if function == b"__import__":
            names = [name for name in map(_literal, rest) if name is not None]
            self.imports.append(Import(line, 0, module, tuple(names)))
            if not all(_harmless(text) for text in rest):
                self._cannot_follow(index)
        elif not relative:
            self.imports.append(Import(line, 0, module))
        elif rest[-1:] == [b"__package__"]:
            self.imports.append(Import(line, relative, module[relative:]))
        else:
            self._cannot_follow(index)

    def _inside(self, at: int) -> Iterator[bytes]:
        """Give the tokens between the bracket at `at` and its other half."""
        depth = 0
        for index in range(at, len(self.texts)):
            text = self.texts[index]
            depth += (text in _OPENING) - (text in _CLOSING)
            if not depth:
                return
            if index > at:
                yield text

    def _cannot_follow(self, index: int, end: int | None = None) -> None:
        """Note the expression around a name: from the first word of a dotted name to the end of its call."""
        start = index
        while start > 1 and self._at(start - 1) == b"." and _is_name(self._at(start - 2)):
            start -= 2
        if end is None:
            call = self._at(index + 1) == b"("
            end = index + 2 + (sum(1 for _ in self._inside(index + 1)) + 1 if call else -1)
        self.dynamic.append(Dynamic(self._line(index), _shown(self.texts[start:end])))

    def _at(self, index: int) -> bytes:
        return self.texts[index] if 0 <= index < len(self.texts) else b""

    def _line(self, index: int) -> int:
        return line_of(self.lines, index)


def _harmless(text: bytes) -> bool:
    """Tell whether an argument of `__import__` after the first leaves an absolute import of literal names."""
    return (
        text in _PACKAGE_NAMES or text in (b"(", b")", b"[", b"]", b"{", b"}", b",", b"0") or _literal(text) is not None
    )


def _is_name(text: bytes) -> bool:
    return text[:1].isalpha() or text[:1] == b"_" or text[:1] >= b"\x80"


def _literal(text: bytes) -> str | None:
    """Give the value of a string token that has one without running anything."""
    if text[-1:] not in (b"'", b'"'):
        return None
    value = text.lstrip(b"uUrR")
    if value[:1] not in (b"'", b'"') or b"\\" in value:
        return None
    quotes = 3 if value[:3] in (b"'''", b'"""') else 1
    return _text(value[quotes:-quotes])


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _shown(texts: list[bytes]) -> str:
    """Write tokens on one line, with the spaces that a reader expects."""
    shown = b""
    for text in texts:
        if shown and ((_is_name(text) and (shown[-1:].isalnum() or shown[-1:] in b"_\"'")) or shown[-1:] == b","):
            shown += b" "
        shown += text
    line = " ".join(shown.decode("utf-8", "replace").split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
