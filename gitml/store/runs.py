"""Recorded runs: `runs/ab/<key>.<run id>.json` (`ab`: the key's first two digits), one file per execution.

A folder per key would cost a block and two more changes of folders per run, a tenth of a trivial step.

Written last of all that it names (blobs, trees, run), by temp file and rename: a run that can be read names objects
that were there when it was written. Readers check again that they still are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from gitml.model.digest import Digest
from gitml.model.record import run_from_json, run_to_json
from gitml.model.run import Run
from gitml.store.atomic import write_atomically


class RunStore:
    """Runs below `root`/runs."""

    def __init__(self, root: str) -> None:
        self._cache = root
        self._root = os.path.join(root, "runs")
        self._tmp = os.path.join(root, "tmp")

    def add(self, run: Run) -> None:
        """Record a run, or replace the record of the same id."""
        data = json.dumps(run_to_json(run), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
        path = os.path.join(self._root, run.key.hex[:2], f"{run.key.hex}.{run.id}.json")
        write_atomically(path, data.encode(), tmp=self._tmp, cache=self._cache)

    def of_key(self, key: Digest) -> list[Run]:
        """Give the runs of a key, newest first; files that are no runs are passed over (a cut record is no run)."""
        return list(self._read_all(key.hex[:2], key.hex))

    def find(self, prefix: str) -> list[Run]:
        """Find runs whose id, or whose key's hex digits, begin with `prefix`."""
        return [run for run in self.all() if run.id.startswith(prefix) or run.key.hex.startswith(prefix)]

    def all(self) -> Iterator[Run]:
        """Give every run that is known here, in no particular order."""
        for shard in _list(self._root):
            yield from self._read_all(shard, "")

    def _read_all(self, shard: str, prefix: str) -> Iterator[Run]:
        folder = os.path.join(self._root, shard)
        for name in sorted(_list(folder), reverse=True):
            if name.startswith(prefix) and name.endswith(".json"):
                run = _read(os.path.join(folder, name))
                if run is not None:
                    yield run


def _read(path: str) -> Run | None:
    try:
        with open(path, "rb") as file:
            return run_from_json(json.loads(file.read()))
    except (FileNotFoundError, ValueError, RecursionError):  # RecordError is a ValueError
        return None


def _list(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
