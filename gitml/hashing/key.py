"""The key of a recipe."""

from __future__ import annotations

from blake3 import blake3

from gitml.model.digest import Digest
from gitml.model.recipe import Recipe


def key_of(recipe: Recipe) -> Digest:
    """Name a recipe by the BLAKE3 of its canonical encoding."""
    return Digest.from_raw(blake3(recipe.encoded()).digest())
