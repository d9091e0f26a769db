"""The JSON Schema of `gitml.toml`, for editors; `gitml.schema.json` is what `render` gives, and a test holds it so."""

from __future__ import annotations

import json

from gitml.manifest.keys import MANIFEST

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, object]:
    """Describe the manifest, with each key's documentation.

    It judges types and names of keys. What keys mean together (paths, `${{ }}`, the graph) only `load` can judge.
    """
    return {
        "$schema": DIALECT,
        "title": "gitml.toml",
        "description": MANIFEST.doc,
        **MANIFEST.schema(),
    }


def render() -> str:
    """Write the schema as it is shipped."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
