"""What a step's key is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gitml.model.value import canonical_json

FORMAT = 1
"""Version of the table of parts in `docs/design.md` section 4. A released number keeps its meaning for ever."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """A flat map of named parts, each JSON data as `gitml.model.value.to_json` gives it.

    Names are `command`, `code:<path>`, `param:<dotted name>`, `input:<path>`, `env:<NAME>`, `package:<name>` and
    `output:<path>`; `format` is added when the key is taken.
    """

    parts: Mapping[str, object]
    format: int = FORMAT

    def encoded(self) -> bytes:
        """Give the bytes whose BLAKE3 is the step's key: the canonical JSON of the parts and the format."""
        return canonical_json({"format": self.format, **self.parts})
