"""In which form Git stores a file of the worktree: asked once for all small files, and only where it can differ."""

from __future__ import annotations

import os

from gitml.git.content import conversion_possible, converted, file_modes
from gitml.git.index import HeldFiles
from gitml.hashing.tree import kind_of
from gitml.model.tree import Kind

_IN_ONE_BATCH = 1 << 20


class WorktreeGit:
    """`GitForm` for one picture of the index.

    A conversion costs four Git processes whatever the number of files. So the first path that may be converted brings
    the answer for every tracked file of up to 1 MiB; larger ones are asked about one by one.
    """

    def __init__(self, held: HeldFiles, root: str) -> None:
        self._held = held
        self._root = root
        self._trusts_mode: bool | None = None
        self._possible: dict[str, bool] = {}
        self._batch: dict[str, bytes] | None = None
        self._single: dict[str, bytes | None] = {}

    def holds(self, path: str) -> bool:
        """Tell whether Git tracks the file."""
        return path in self._held.tracked

    def kind(self, path: str, status: os.stat_result) -> Kind:
        """Give the index's kind where `core.fileMode` is off, else the disk's."""
        if self._trusts_mode is None:
            self._trusts_mode = file_modes(self._held.git).executable
        held = self._held.tracked.get(path)
        if self._trusts_mode or held is None:
            return kind_of(status)
        return Kind.EXECUTABLE if held.kind is Kind.EXECUTABLE else Kind.FILE

    def converted(self, path: str) -> bytes | None:
        """Give the bytes that Git would store, where they differ from the file's."""
        folder = os.path.dirname(path)
        if folder not in self._possible:
            self._possible[folder] = conversion_possible(self._held, [path])
        if not self._possible[folder]:
            return None
        if self._is_small(path):
            if self._batch is None:
                self._batch = converted(self._held, [name for name in self._held.tracked if self._is_small(name)])
            return self._batch.get(path)
        if path not in self._single:
            self._single[path] = converted(self._held, [path]).get(path)
        return self._single[path]

    def _is_small(self, path: str) -> bool:
        try:
            return os.lstat(os.path.join(self._root, path)).st_size <= _IN_ONE_BATCH
        except OSError:
            return False
