"""In which form Git stores a file of the worktree: asked once for all small files, and only where it can differ."""

from __future__ import annotations

import os
from collections.abc import Mapping

from gitml.engine.sinks import is_junk
from gitml.engine.witness import Witness
from gitml.git.content import conversion_possible, converted, file_modes
from gitml.git.index import HeldFiles
from gitml.git.submodule import clean_commit, worktree_paths
from gitml.hashing.file import StatSignature, digest_bytes, signature_of
from gitml.hashing.tree import kind_of
from gitml.model.digest import Digest
from gitml.model.path import is_within
from gitml.model.tree import Kind

_IN_ONE_BATCH = 1 << 20


class WorktreeGit:
    """`GitForm` for one picture of the index.

    A conversion costs four Git processes whatever the number of files. So the first path that may be converted brings
    the answer for every tracked file of up to 1 MiB; larger ones are asked about one by one. An answer holds for the
    stat that the file had: steps run meanwhile, and write files that Git holds.
    """

    def __init__(self, held: HeldFiles, root: str) -> None:
        self._held = held
        self._root = root
        self._trusts_mode: bool | None = None
        self._possible: dict[str, bool] = {}
        self._known: dict[str, tuple[StatSignature, bytes | None]] = {}
        self._asked = False
        self._commits: dict[str, tuple[Mapping[str, StatSignature | None], str | None]] = {}

    def holds(self, path: str) -> bool:
        """Tell whether Git tracks the file."""
        return path in self._held.tracked

    def holds_below(self, path: str) -> bool:
        """Tell whether Git tracks something below a folder, or holds another repository there."""
        return self._held.is_dir(path) or any(is_within(one, path) for one in self._held.submodules)

    def kind(self, path: str, status: os.stat_result) -> Kind:
        """Give the index's kind where `core.fileMode` is off, else the disk's."""
        if self._trusts_mode is None:
            self._trusts_mode = file_modes(self._held.git).executable
        held = self._held.tracked.get(path)
        if self._trusts_mode or held is None:
            return kind_of(status)
        return Kind.EXECUTABLE if held.kind is Kind.EXECUTABLE else Kind.FILE

    def commit_of(self, path: str, witness: Witness) -> Digest | None:
        """Name the commit of a submodule that is checked out clean; asked again when a stat in it has changed."""
        if path not in self._held.submodules:
            return None
        full = os.path.join(self._root, path)
        stats = {
            os.path.relpath(one, self._root): self._signature(one) for one in worktree_paths(full, is_junk=is_junk)
        }
        witness.update(stats)
        known = self._commits.get(path)
        if known is None or known[0] != stats:
            known = self._commits[path] = (stats, clean_commit(full, self._held.git.environ, is_junk=is_junk))
        return None if known[1] is None else digest_bytes(b"gitml-submodule/1\n" + known[1].encode())

    def converted(self, path: str) -> bytes | None:
        """Give the bytes that Git would store, where they differ from the file's."""
        folder = os.path.dirname(path)
        if folder not in self._possible:
            self._possible[folder] = conversion_possible(self._held, [path])
        if not self._possible[folder]:
            return None
        signature = self._signature(path)
        known = self._known.get(path)
        if known is None or known[0] != signature:
            self._ask(path)
            known = self._known.get(path)
        return None if known is None else known[1]

    def _ask(self, path: str) -> None:
        """Ask about a path, the first time together with all that are small; stats are older than the answers."""
        names = [path] if self._asked else [path, *self._held.tracked]
        found = {name: signature for name in names if (signature := self._signature(name)) is not None}
        chosen = [name for name, signature in found.items() if name == path or signature.size <= _IN_ONE_BATCH]
        answers = converted(self._held, chosen)
        self._known.update({name: (found[name], answers.get(name)) for name in chosen})
        self._asked = True

    def _signature(self, path: str) -> StatSignature | None:
        try:
            return signature_of(os.lstat(os.path.join(self._root, path)))
        except OSError:
            return None
