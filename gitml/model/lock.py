"""The committed record of one instance: what its outputs were made from, and what they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gitml.model.digest import Digest
from gitml.model.recipe import Recipe
from gitml.model.tree import Entry


@dataclass(frozen=True, kw_only=True, slots=True)
class LockEntry:
    """The lock of one step instance.

    `outputs`: by declared path. `subpaths`: the entries, inside those outputs, of every path that another step declares
    as an input or whose glob matches; `globs`: for each such glob, the paths inside those outputs that it matches. With
    both, a commit can be judged with no data. `metrics`: by path, the numbers of that metrics
    file as JSON data. `accepted`: the user's reason when the outputs were let stand for a key that did not make them.
    """

    key: Digest
    recipe: Recipe
    outputs: Mapping[str, Entry]
    subpaths: Mapping[str, Entry] = field(default_factory=dict)
    globs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    metrics: Mapping[str, object] = field(default_factory=dict)
    accepted: str | None = None
