"""YAML 1.2 parameter files: plain data, each name once, no alias that unfolds into more than it saves.

The reader builds nodes only; values are made here, so that every refusal has a line and shared nodes stay shared.
"""

from __future__ import annotations

import datetime
import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import Node, ScalarNode, SequenceNode

from gitml.manifest.positions import position_of
from gitml.manifest.problems import ManifestError, at
from gitml.manifest.text import whole_file

_DEEPEST = 64
_LARGEST = 1_000_000
_MERGE = "tag:yaml.org,2002:merge"
_DIRECTIVE = re.compile(r"^%YAML[ \t]+(?!1\.2\b)", re.MULTILINE)
_PLAIN = (bool, int, float, str, datetime.datetime, datetime.date, type(None))


def parse_yaml(file: str, text: str) -> Any:
    """Parse one document; an empty one is an empty table.

    Raises:
        ManifestError: The first thing in it that is not YAML 1.2 data of the kinds that parameters have.
    """
    directive = _DIRECTIVE.search(text)
    if directive:
        message = "only YAML 1.2 is read, in which 'no' is a string and 1e-3 a number"
        raise ManifestError([at(file, position_of(text, directive.start()), message)])
    reader = YAML(typ="safe", pure=True)
    try:
        node = reader.compose(text)
        return {} if node is None else _Builder(file, text, reader.constructor).value(node, 0)
    except RecursionError as error:
        raise whole_file(file, text, f"values are nested deeper than {_DEEPEST} levels") from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = position_of(text, mark.index if mark else 0)
        message = error.problem or error.context or "its syntax is wrong"
        raise ManifestError([at(file, where, f"this is not YAML: {message}")]) from error
    except (YAMLError, ValueError) as error:
        raise whole_file(file, text, f"this is not YAML: {str(error).splitlines()[0]}") from error


class _Builder:
    def __init__(self, file: str, text: str, constructor: Any) -> None:
        self.file = file
        self.text = text
        self.constructor = constructor
        self._done: dict[int, tuple[Any, int, int]] = {}

    def value(self, root: Node, depth: int) -> Any:
        return self._build(root, depth)[0]

    def _build(self, node: Node, depth: int) -> tuple[Any, int, int]:
        """Give a node's value, how many values it unfolds to, and how many levels it has."""
        known = self._done.get(id(node))
        if known is None:
            if depth > _DEEPEST:
                raise self._wrong(node, f"values are nested deeper than {_DEEPEST} levels")
            known = self._new(node, depth)
            self._done[id(node)] = known
        if depth + known[2] > _DEEPEST + 1:
            raise self._wrong(node, f"values are nested deeper than {_DEEPEST} levels")
        if known[1] > _LARGEST:
            raise self._wrong(node, f"aliases unfold to more than {_LARGEST} values")
        return known

    def _new(self, node: Node, depth: int) -> tuple[Any, int, int]:
        if isinstance(node, ScalarNode):
            return self._scalar(node), 1, 1
        if node.tag not in ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
            raise self._wrong(node, f"the tag {node.tag} is not plain data")
        if isinstance(node, SequenceNode):
            built = [self._build(child, depth + 1) for child in node.value]
            return [one[0] for one in built], _size(built), _levels(built)
        return self._table(node.value, depth)

    def _scalar(self, node: ScalarNode) -> Any:
        value = self.constructor.construct_object(node)
        if not isinstance(value, _PLAIN):
            raise self._wrong(node, f"the tag {node.tag} is not plain data")
        if isinstance(value, str) and not _is_text(value):
            raise self._wrong(node, "half of a surrogate pair is not text")
        if isinstance(value, datetime.datetime) and type(value) is not datetime.datetime:
            return datetime.datetime.fromisoformat(value.isoformat())
        return value

    def _table(self, pairs: list[tuple[Node, Node]], depth: int) -> tuple[Any, int, int]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        built: list[tuple[Any, int, int]] = []
        for key, child in pairs:
            one = self._build(child, depth + 1)
            built.append(one)
            if key.tag == _MERGE:
                self._merge(child, one[0], merged)
                continue
            name = self.constructor.construct_object(key) if isinstance(key, ScalarNode) else None
            if not isinstance(name, str):
                raise self._wrong(key, "a name must be text", "write it in quotes")
            if name in own:
                raise self._wrong(key, f"the name {name!r} stands twice in one table")
            own[name] = one[0]
        return {**merged, **own}, _size(built), _levels(built)

    def _merge(self, node: Node, value: Any, merged: dict[str, Any]) -> None:
        """Take the names of `<<`; of several tables the first that has a name wins."""
        tables = value if isinstance(node, SequenceNode) else [value]
        for table in tables:
            if not isinstance(table, dict):
                raise self._wrong(node, "'<<' wants a table or a list of tables")
            for name, inner in table.items():
                merged.setdefault(name, inner)

    def _wrong(self, node: Node, message: str, hint: str | None = None) -> ManifestError:
        return ManifestError([at(self.file, position_of(self.text, node.start_mark.index), message, hint)])


def _size(built: list[tuple[Any, int, int]]) -> int:
    return 1 + sum(size for _, size, _ in built)


def _levels(built: list[tuple[Any, int, int]]) -> int:
    return 1 + max((levels for _, _, levels in built), default=0)


def _is_text(value: str) -> bool:
    return value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value)
