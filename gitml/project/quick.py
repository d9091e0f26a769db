"""The fast path of `status` and `repro`: is all that the last fresh verdict rests on as it was?

Imports no more than that takes: most calls end here, and importing the engine would double their time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

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


def confirmed(place: Place, environ: Mapping[str, str]) -> list[tuple[str, bool]] | None:
    """Give each step with whether it is frozen, if all are known to be fresh; None: judge."""
    if not os.path.exists(place.database):
        return None
    database = StateDatabase(place.database)
    try:
        rows = stamp_of(place, database).confirm(environ)
    finally:
        database.close()
    return None if rows is None else [(str(step), bool(frozen)) for step, frozen in rows]
