"""The reference page of the manifest; `docs/reference.md` is what `render` gives, and a test holds it so."""

from __future__ import annotations

from typing import Any

from gitml.manifest import keys
from gitml.manifest.table import Key, Table
from gitml.model.step import Resources

_HEAD = """\
# Reference: gitml.toml

Made from the table of keys in `gitml/manifest/keys.py`; do not edit it by hand. The same tables may stand below
`[tool.gitml]` in `pyproject.toml`. An unknown key is an error.

Paths are relative to the project, use `/`, and may not leave it or enter `.git` or `.gitml`.
"""

_TAIL = """\
## `${{ … }}`

An expression is a dotted name: `${{ params.train.lr }}`, `${{ matrix.fold }}`, `${{ inputs.0 }}`. Numbers count from
0; a segment that holds a dot is written in quotes, as in `${{ params."a.b" }}`. `$${{` is the text `${{`.

| name | is | may stand in |
|---|---|---|
| `params` | the parameters of `[params]` and the parameter files | commands, paths and the `url` of a source |
| `matrix` | the values of the instance | commands and paths |
| `step.name`, `step.id` | `train`, `train@fold=0` | commands and paths |
| `inputs`, `outputs` | the declared paths as the command sees them, from its `cwd` | commands |

Paths are `inputs`, `outputs`, `metrics`, `plots`, `code` and `cwd`.

- In `run` a value is one shell-quoted word or a part of one (`--lr=${{ params.lr }}`), a list several words. Inside
  quotes, backquotes, `${ }`, arithmetic, comments and here-documents it is refused.
- In `argv` an element that is one expression with a list becomes as many words; else values become text.
- In paths values become text. Lists are refused.
- `true` and `false` are written so, numbers as Python writes them. Null and tables are refused.

## Instances

An instance is named `step@name=value,…`, in the order in which the matrix declares the names. Text that could be taken
for another type, or that has special characters, is written in JSON's quotes: `1` is the number, `"1"` the text.
A table is written `{name=a,input=x}` and a list `[64,64]`. A matrix has at most 100,000 instances.

## Globs

- `*` matches any characters and `?` one, but never `/`; `[abc]`, `[a-z]` and `[!a]` match one character.
- `**` as a whole component matches any number of components; `data/**` is everything below `data`.
- A name that begins with a dot is matched only by a component that begins with a dot.
- `[*]` is a literal star.

An input that another step makes, that lies in a folder which another step makes, that holds or matches an output of
another step, is an edge to that step. A declaration does not say whether an output is a file or a folder: below `**`,
an output whose name has a suffix counts as a file, any other as a folder that a glob could reach into.
"""


def render() -> str:
    """Write the page."""
    tables = (keys.MANIFEST, keys.PROJECT, keys.SOURCE, keys.STEP, keys.OUTPUT, keys.CODE, keys.RESOURCES_TABLE)
    return "\n".join([_HEAD, *(_section(table) for table in tables), _TAIL])


def _section(table: Table) -> str:
    rows = [
        f"## {table.heading}",
        "",
        table.doc,
        "",
        "| key | type | default | meaning | example |",
        "|---|---|---|---|---|",
    ]
    return "\n".join([*rows, *(_row(key) for key in table.keys), ""])


def _row(key: Key[Any]) -> str:
    cells = (f"`{key.name}`", key.kind.name, _default(key), key.doc, f"`{key.example}`")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(key: Key[Any]) -> str:
    if key.required:
        return "required"
    value = key.default
    if value is None or value == "" or value in ((), {}) or isinstance(value, Resources):
        return ""
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    if isinstance(value, tuple):
        return "`[" + ", ".join(f'"{item}"' for item in value) + "]`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"
