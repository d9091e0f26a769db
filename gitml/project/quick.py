"""The fast path of `status` and `repro`: is all that the last fresh verdict rests on as it was?

Imports no more than that takes: most calls end here, and importing the engine would double their time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from gitml.engine.stamp import FreshStamp
from gitml.hashing.clock import FileClock
from gitml.hashing.folders import FolderCache
from gitml.hashing.state import StateDatabase
from gitml.project.place import Place
from gitml.version import __version__


def stamp_of(place: Place, database: StateDatabase) -> FreshStamp:
    """Give the project's stamp."""
    folders = FolderCache(place.root, database, FileClock(os.path.join(place.machine, "tmp")))
    return FreshStamp(folders, database, version=__version__)


class Confirmed(NamedTuple):
    """The last fresh verdict, that still stands: each step with whether it is frozen, and the sources."""

    steps: list[tuple[str, bool]]
    sources: list[str]


def confirmed(place: Place, environ: Mapping[str, str]) -> Confirmed | None:
    """Give the last wholly fresh verdict, if nothing that it rests on has moved; None: judge."""
    if not os.path.exists(place.database):
        return None
    database = StateDatabase(place.database)
    try:
        rows = stamp_of(place, database).confirm(environ)
    finally:
        database.close()
    if rows is None:
        return None
    steps, sources = rows
    return Confirmed([(step, frozen) for step, frozen in cast("list[list[Any]]", steps)], cast("list[str]", sources))
