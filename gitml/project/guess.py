"""Guess from a Python script's text which files it reads and writes: good enough for a comment, never for a key."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from gitml.model.path import PathError, check_path

_PATH = re.compile(r"[\w./-]{1,200}")
_DATA_FILE = re.compile(
    r".*[^./]\.(?:csv|tsv|txt|json|jsonl|parquet|feather|arrow|npy|npz|pt|pth|pkl|joblib|h5|hdf5|onnx|safetensors"
    r"|png|svg|pdf|html|md|ya?ml|db|zip|gz|model|bin)"
)
_WRITES = re.compile(
    r"to_(?:csv|parquet|json|pickle|excel|feather|html)|save(?:fig|z|txt|_model|_pretrained)?|dump|makedirs"
    r"|write_(?:text|bytes|csv|parquet)"
)
_OUTWARD = re.compile(r"out|save|dest|target|model", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Guess:
    """Paths, as the script spells them, that it seems to write, and all others that it names."""

    written: tuple[str, ...] = ()
    named: tuple[str, ...] = ()


def guess_files(data: bytes) -> Guess:
    """Look through the string literals of a script; one that cannot be parsed gives no guess."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the script's own, such as an invalid escape: not ours to tell
            tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Guess()
    written = dict.fromkeys(path for node in ast.walk(tree) if isinstance(node, ast.Call) for path in _written(node))
    named = dict.fromkeys(path for path in _paths(tree) if path not in written)
    return Guess(written=tuple(written), named=tuple(named))


def _written(call: ast.Call) -> Iterator[str]:
    """Give the paths that a call seems to write to: `open(p, "w")`, `x.to_csv(p)`, `Path(p).write_text(…)`."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if (name == "open" and _mode(call)[:1] in ("w", "a", "x")) or _WRITES.fullmatch(name):
        yield from _paths(call)
    elif name == "add_argument" and any(_OUTWARD.search(text) for text in _options(call)):
        yield from (path for keyword in call.keywords if keyword.arg == "default" for path in _paths(keyword.value))


def _mode(call: ast.Call) -> str:
    """Give the mode of an `open`: its second argument, or the first where it is a method of a path."""
    place = 0 if isinstance(call.func, ast.Attribute) else 1
    given = [keyword.value for keyword in call.keywords if keyword.arg == "mode"] + call.args[place : place + 1]
    return str(given[0].value) if given and isinstance(given[0], ast.Constant) else "r"


def _options(call: ast.Call) -> list[str]:
    return [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]


def _paths(tree: ast.AST) -> Iterator[str]:
    """Give the string literals below a node that look like paths of the project; pieces of f-strings are none."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _path(node.value)
        elif not isinstance(node, ast.JoinedStr):
            waiting.extend(reversed([*ast.iter_child_nodes(node)]))


def _path(text: str) -> Iterator[str]:
    named = "/" in text.strip("/") or _DATA_FILE.fullmatch(text) is not None
    if named and _PATH.fullmatch(text):
        try:
            yield check_path(text)
        except PathError:
            return
