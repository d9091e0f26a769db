"""Remember the digests of files whose stat has not changed since they were hashed."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from gitml.errors import GitmlError
from gitml.hashing.clock import FileClock
from gitml.hashing.file import FileDigest, StatSignature, digest_file, fast_digest_file, signature_of
from gitml.hashing.folders import FolderCache
from gitml.hashing.intake import no_link
from gitml.hashing.state import StateDatabase, StatRow
from gitml.model.digest import Digest

_WAIT_FROM = 16 << 20
_LONGEST_WAIT = 0.02


class StatCache:
    """Digests of files by path relative to `root`, trusted only by the rules of `docs/design.md` section 5.

    An entry is used when size, mtime, ctime, inode and mode are all equal. It is written only when the file's times
    lie strictly before the moment at which hashing began, by the file system's clock: a file of the same tick could be
    written again without a trace. Small files that are too young for that are hashed once more at `flush`, which is
    cheaper than waiting out a tick per file; for large ones the tick is waited out before they are hashed.

    `folders` remembers folders of which Git holds nothing, as wholes; `linked` is for them.
    """

    def __init__(
        self,
        root: str,
        database: StateDatabase,
        clock: FileClock,
        linked: Callable[[bytes], Digest | None] = no_link,
    ) -> None:
        self.folders = FolderCache(root, database, clock, linked)
        self._root = root
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[StatSignature, bytes, Digest]] | None = None
        self._fresh: dict[str, FileDigest] = {}
        self._young: dict[str, FileDigest] = {}

    def known(self, path: str, signature: StatSignature) -> Digest | None:
        """Give the digest of a file that has this signature, if it can be trusted."""
        with self._lock:
            entry = self._load().get(path)
            if entry is None or entry[0] != signature or path in self._young:
                return None
            return entry[2]

    def digest(
        self, path: str, status: os.stat_result | None = None, *, held: bool = False
    ) -> tuple[StatSignature, Digest]:
        """Give a file's digest, from memory or by reading it; `status` is its `lstat` where the caller has it.

        Where only the times of a file have changed, xxh3 confirms that its bytes are the old ones, at two to three
        times the speed of BLAKE3. Not so for a file that Git holds (`held`): those can come from anyone, and collisions
        of XXH3 can be made at will.

        Raises:
            GitmlError: It is not a regular file, or changes while it is read.
            OSError: It cannot be read.
        """
        full = os.path.join(self._root, path)
        signature = signature_of(status if status is not None else os.lstat(full))
        found = self.known(path, signature)
        if found is not None:
            return signature, found
        began = self.begin(signature)
        fresh = (None if held else self._confirm(path, full, signature)) or digest_file(full)
        self.remember(path, fresh, began)
        return fresh.signature, fresh.digest

    def remember(self, path: str, found: FileDigest, began_ns: int) -> None:
        """Keep a digest that was computed from `began_ns` on (the file system's clock)."""
        with self._lock:
            known = self._load()
            known[path] = (found.signature, found.xxh3, found.digest)
            old = max(found.signature.mtime_ns, found.signature.ctime_ns) < began_ns
            (self._fresh if old else self._young)[path] = found
            (self._young if old else self._fresh).pop(path, None)

    def is_settled(self, path: str) -> bool:
        """Tell whether a known path's entry would be trusted by another process."""
        with self._lock:
            return path not in self._young

    def flush(self) -> None:
        """Write what was learnt to the database, after a second look at the files that were too young."""
        with self._lock:
            fresh, young = self._fresh, self._young
            self._fresh, self._young = {}, {}
        if young:
            self._wait_past(max(max(f.signature.mtime_ns, f.signature.ctime_ns) for f in young.values()))
            for path, found in young.items():
                again = self._again(path, found)
                if again is not None:
                    fresh[path] = again
        if fresh:
            self._database.store_stats([_row(path, found) for path, found in fresh.items()])

    def _again(self, path: str, found: FileDigest) -> FileDigest | None:
        began = self._clock.now_ns()
        try:
            again = digest_file(os.path.join(self._root, path))
        except (OSError, GitmlError):
            return None  # gone or busy again: nothing to remember
        old = max(again.signature.mtime_ns, again.signature.ctime_ns) < began
        return again if old and again.digest == found.digest else None

    def _confirm(self, path: str, full: str, signature: StatSignature) -> FileDigest | None:
        with self._lock:
            entry = self._load().get(path)
            if entry is None or entry[0].size != signature.size or path in self._young:
                return None
        now, xxh3 = fast_digest_file(full)
        return FileDigest(now, xxh3, entry[2]) if xxh3 == entry[1] and now.size == signature.size else None

    def begin(self, signature: StatSignature) -> int:
        """Give the file system's time before a file is hashed: what `remember` wants as `began_ns`.

        For a large file that is too young to be remembered, a tick is waited out first: that costs less than hashing
        it twice.
        """
        if signature.size >= _WAIT_FROM:
            self._wait_past(max(signature.mtime_ns, signature.ctime_ns))
        return self._clock.now_ns()

    def _wait_past(self, moment_ns: int) -> None:
        end = time.monotonic() + _LONGEST_WAIT
        while self._clock.now_ns() <= moment_ns and time.monotonic() < end:
            time.sleep(0.001)

    def _load(self) -> dict[str, tuple[StatSignature, bytes, Digest]]:
        if self._known is None:
            self._known = {
                os.fsdecode(path): (StatSignature(size, mtime, ctime, inode, mode), xxh3, Digest.from_raw(raw))
                for path, size, mtime, ctime, inode, mode, xxh3, raw in self._database.stat_rows()
            }
        return self._known


def _row(path: str, found: FileDigest) -> StatRow:
    return (os.fsencode(path), *found.signature, found.xxh3, found.digest.raw)
