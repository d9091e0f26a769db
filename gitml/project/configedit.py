"""Set or drop one key in a configuration file, leaving every other character of it as it is.

There is more than one way to write a key in TOML, so a new text is only taken when reading it gives exactly the tables
that are wanted; where no simple edit does, the user is asked to make it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import tomli

from gitml.errors import UsageError
from gitml.manifest.positions import span_of
from gitml.manifest.problems import Source
from gitml.manifest.text import decode, parse_toml
from gitml.project.config import Key, Value, parse_settings
from gitml.project.declaration import read_declaration
from gitml.store.atomic import write_atomically

Tables = Mapping[str, Any]


def set_key(file: str, key: Key, value: Value, environ: Mapping[str, str]) -> None:
    """Write a key's value; the file and its folder are made as needed.

    Raises:
        UsageError: The value or the file is not valid, or the file is written in a way that needs a person.
    """
    text, tables = _read(file, environ)
    plain = value if isinstance(value, str) else list(value)
    table, name = key.path
    tables.setdefault(table, {})[name] = plain
    literal = json.dumps(plain, ensure_ascii=False).replace("\x7f", "\\u007f")
    _replace(file, _first(file, _settings(text, key, literal), tables, key), environ)


def unset_key(file: str, key: Key, environ: Mapping[str, str]) -> bool:
    """Drop a key; tells whether it was there.

    Raises:
        UsageError: The file is not valid, or is written in a way that needs a person.
    """
    text, tables = _read(file, environ)
    table, name = key.path
    span = span_of(text, key.path)
    if span is None or name not in tables.get(table, {}):
        return False
    del tables[table][name]
    begin = text.rfind("\n", 0, span[0]) + 1
    end = text.find("\n", span[2])
    shorter = text[:begin] + ("" if end < 0 else text[end + 1 :])
    _replace(file, _first(file, [shorter], tables, key), environ)
    return True


def _settings(text: str, key: Key, literal: str) -> Iterator[str]:
    """Give the new texts to try: the value replaced, a line below the table's header, a new table, a dotted key."""
    table, name = key.path
    span = span_of(text, key.path)
    if span is not None:
        yield text[: span[1]] + literal + text[span[2] :]
    end = "\r\n" if "\r\n" in text else "\n"
    for header in re.finditer(rf"^[ \t]*\[[ \t]*{table}[ \t]*\][^\n]*(\n|\Z)", text, re.MULTILINE):
        yield f"{text[: header.end()]}{'' if header[1] else end}{name} = {literal}{end}{text[header.end() :]}"
    gap = "" if not text else end if text.endswith("\n") else end * 2
    yield f"{text}{gap}[{table}]{end}{name} = {literal}{end}"
    yield f"{table}.{name} = {literal}{end}{text}"


def _first(file: str, texts: Iterable[str], wanted: Tables, key: Key) -> str:
    for text in texts:
        if _means(text, wanted):
            return text
    raise UsageError(f"{key.name} cannot be changed in {file} as it is written there", hint=f"edit {file} by hand")


def _means(text: str, wanted: Tables) -> bool:
    """Tell whether a text says what is wanted; an empty table says nothing."""
    try:
        found = tomli.loads(text)
    except tomli.TOMLDecodeError:
        return False
    return {k: v for k, v in found.items() if v != {}} == {k: v for k, v in wanted.items() if v != {}}


def _read(file: str, environ: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """Give a valid file's text, "" where it is not there, and its tables."""
    text = decode(file, read_declaration("/", file) or b"")
    parse_settings(Source(file=file, text=text), environ)
    return text, parse_toml(file, text)


def _replace(file: str, text: str, environ: Mapping[str, str]) -> None:
    parse_settings(Source(file=file, text=text), environ)
    real = os.path.realpath(file)  # a user's file is often a link into their dotfiles
    write_atomically(real, text.encode(), tmp=os.path.dirname(real), sync=True)
