"""Splits the text of a shell command into simple commands: what is started, where, and with which words.

Only what can be known without running anything is taken: a word with a variable or a substitution in it names no
file. Text that is no valid shell (an unclosed quote) is split at white space instead, and marked so.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from gitml.model.path import is_glob


class Word(NamedTuple):
    """A word after quotes are removed. `known`: its text is what the command gets. `pattern`: the shell expands it."""

    text: str
    known: bool = True
    pattern: bool = False


@dataclass(kw_only=True, slots=True)
class Simple:
    """One simple command: its words, what it reads from (`< file`), and the text given to it by a here-document.

    `cwd` is relative to the project, None where a `cd` went to an unknown place. `guessed` marks words of text that
    is no valid shell.
    """

    cwd: str | None
    words: list[Word] = field(default_factory=list)
    reads: list[Word] = field(default_factory=list)
    stdin: str | None = None
    guessed: bool = False


_PIECE = r"""'[^']*'|"(?:[^"\\`]|\\.|`[^`]*`)*"|\\.|\$\((?:[^()]|\([^()]*\))*\)|\$\{[^}]*\}|`[^`]*`|[^\s'"\\;&|<>()`]"""
_TOKEN = re.compile(
    r"(?P<space>(?:[ \t\r]|\\\n)+)"
    r"|(?P<comment>\#[^\n]*)"  # only met where a word could begin
    r"|(?P<redirect>\d*(?:<<<|<<-?|<>|<&|<|>>|>\||>&|>)|&>>?)"
    r"|(?P<end>&&|\|\||\|&|;;|[;&|\n])"
    r"|(?P<open>\()|(?P<close>\))"
    r"|(?P<word>(?:" + _PIECE + r")+)",
    re.DOTALL,
)
_UNQUOTE = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)""", re.DOTALL)
_ESCAPED = re.compile(r'\\([\\"$`\n])')
_LEADING = frozenset(("if", "then", "else", "elif", "while", "until", "do", "!", "{"))
_TRAILING = frozenset(("}", "fi", "done", "esac"))


def split(text: str, cwd: str) -> list[Simple]:
    """Split shell text that starts in `cwd` (relative to the project) into its simple commands."""
    found: list[Simple] = []
    shell = _Shell(cwd)
    try:
        found.extend(simple for simple in shell.read(text) if simple.words or simple.reads)
    except ValueError:
        words = [Word(word.strip("'\"")) for word in re.findall(r"[^\s;&|<>()]+", text)]
        return [Simple(cwd=cwd, words=words, guessed=True)]
    return found


def within(cwd: str, path: str) -> str | None:
    """Give a path of a command relative to the project; None when it leaves it."""
    joined = posixpath.normpath(posixpath.join(cwd, path))
    return None if joined.startswith(("/", "../")) or joined == ".." or not path or "\0" in path else joined


class _Shell:
    def __init__(self, cwd: str) -> None:
        self._cwd: str | None = cwd
        self._outer: list[str | None] = []
        self._now = Simple(cwd=cwd)
        self._redirect = ""
        self._documents: list[tuple[Simple, str]] = []

    def read(self, text: str) -> Iterator[Simple]:
        """Give the simple commands in order; ValueError when a quote is never closed."""
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise ValueError(f"no shell token at {at}")
            at = match.end()
            kind = match.lastgroup
            if kind == "word":
                self._word(_word(match[0]))
            elif kind == "redirect":
                self._redirect = match[0].lstrip("0123456789")
            elif kind in ("end", "open", "close"):
                yield self._finish()
                if kind == "open":
                    self._outer.append(self._cwd)
                elif kind == "close" and self._outer:
                    self._cwd = self._outer.pop()
                self._now = Simple(cwd=self._cwd)
                if match[0] == "\n":
                    at = self._read_documents(text, at)
        yield self._finish()

    def _word(self, word: Word) -> None:
        redirect, self._redirect = self._redirect, ""
        if redirect in ("<<", "<<-"):
            self._documents.append((self._now, word.text))
        elif redirect == "<":
            self._now.reads.append(word)
        elif redirect == "<<<":
            self._now.stdin = word.text
        elif not redirect and (self._now.words or word.text not in _LEADING | _TRAILING):
            self._now.words.append(word)

    def _finish(self) -> Simple:
        """End the current command; a `cd` moves those after it."""
        words = self._now.words
        if words and words[0].text == "cd" and self._cwd is not None:
            target = words[1] if len(words) == 2 else Word("", known=False)
            known = target.known and not target.text.startswith("-")
            self._cwd = within(self._cwd, target.text) if known else None
        return self._now

    def _read_documents(self, text: str, at: int) -> int:
        """Take the here-documents that begin on this line; give the offset after the last."""
        for simple, delimiter in self._documents:
            lines = []
            while at < len(text):
                line, _, _ = text[at:].partition("\n")
                at += len(line) + 1
                if line.lstrip("\t") == delimiter:
                    break
                lines.append(line)
            simple.stdin = "\n".join(lines)
        self._documents.clear()
        return at


def _word(raw: str) -> Word:
    bare = _UNQUOTE.sub("", raw)
    double = "".join(match[2] or "" for match in _UNQUOTE.finditer(raw))
    known = "$" not in bare and "`" not in bare and not re.search(r"(?<!\\)[$`]", double)
    text = _UNQUOTE.sub(_unquoted, raw.replace("\\\n", ""))
    return Word(text, known=known, pattern=known and is_glob(bare))


def _unquoted(match: re.Match[str]) -> str:
    if match[2] is not None:
        return _ESCAPED.sub(r"\1", match[2])
    return match[1] if match[1] is not None else match[3]
