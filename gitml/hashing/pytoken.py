"""The one pattern that finds Python's tokens, and what it leaves to code: brackets, comments and f-strings."""

from __future__ import annotations

import re

# The patterns. `_SKIP` is what may stand before any token; a newline belongs to it when no token follows on its line.
_TYPE = rb"[ \t]*type:(?![ \t]*ignore(?![A-Za-z0-9_]))"
_SKIP = rb"(?:[ \t\f]+|\\\n|\n(?=[ \t\f]*(?:[\n#]|\Z))|#(?!" + _TYPE + rb")[^\n]*)*"
WORD = rb"[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*"
_DIGITS = rb"[0-9](?:_?[0-9])*"
_NUMBER = (
    rb"0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO](?:_?[0-7])+"
    rb"|(?:" + _DIGITS + rb"(?:\.(?:" + _DIGITS + rb")?)?|\." + _DIGITS + rb")(?:[eE][-+]?" + _DIGITS + rb")?[jJ]?"
)
_OPERATOR = rb"\.\.\.|\*\*=?|//=?|<<=?|>>=?|<>|->|:=|!=|[-+*/%&|^@=<>]=|[-+*/%&|^@=<>:,;.~]"  # longest first
_STRING = (
    rb"(?:[uU]|[bB][rR]?|[rR][bB]?)?(?:"
    rb"'(?!'')[^'\\\n]*(?:\\.[^'\\\n]*)*'"
    rb'|"(?!"")[^"\\\n]*(?:\\.[^"\\\n]*)*"'
    rb"|'''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'''"
    rb'|"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*""")'
)
F_PREFIX = rb"(?:[fFtT][rR]?|[rR][fFtT])"
# Four of five f-strings hold no quote, brace or backslash in a field; they need no state.
_F_SIMPLE = F_PREFIX + (
    rb"(?:'(?!'')[^'\\\n{}]*(?:(?:\{[^'\"\\\n{}#]*\}|\{\{|\}\}|\\[^N{}])[^'\\\n{}]*)*'"
    rb'|"(?!"")[^"\\\n{}]*(?:(?:\{[^\'"\\\n{}#]*\}|\{\{|\}\}|\\[^N{}])[^"\\\n{}]*)*")'
)
_F_START = F_PREFIX + rb"(?:'''|\"\"\"|'|\")"
_END_OF_WORD = rb"(?![A-Za-z0-9_\x80-\xff'\"])"  # most words; one before a quote may be a prefix
TOKEN = re.compile(
    _SKIP
    + rb"(?:("
    + b"|".join(
        (WORD + _END_OF_WORD, rb"[()\[\]{}]", rb"\n[ \t\f]*(?![ \t\f\\])", rb"(?!\.[0-9])(?:" + _OPERATOR + rb")")
    )
    + b"|"
    + b"|".join((_STRING, _NUMBER, _F_SIMPLE))
    + rb")|("  # what is left to code
    + b"|".join((_F_START, WORD, rb"#[^\n]*", rb"\Z", rb"."))
    + rb"))",
    re.DOTALL,
)
F_STARTED = re.compile(_F_START + rb"\Z")
CLOSES = {b"(": b")", b"[": b"]", b"{": b"}"}
CLOSING = frozenset(CLOSES.values())


class Refused(Exception):
    """What is wrong at an offset of the source; the lexer makes its `LexError` of it."""

    def __init__(self, why: str, at: int) -> None:
        super().__init__(why)
        self.why = why
        self.at = at
