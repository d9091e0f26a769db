"""The state database: derived facts about this worktree, in one SQLite file under `$GIT_DIR/gitml`.

Everything in it can be computed again, so every trouble with it (a network file system without locks, a full disk, a
damaged file, a newer schema) has one answer: go on without it. Nothing in it is ever shared with another machine.

    stat    path -> size, mtime_ns, ctime_ns, inode, mode, xxh3 (16 bytes), blake3 (32 bytes)
    folder  path -> what is remembered of a folder of data (gitml/hashing/folderrow.py)
    memo    (kind, name) -> bytes: compiled pipelines, code analyses, durations, the stamp of the last fresh verdict

Crash story: the file is made under another name and linked into place; after that, writes are transactions with a
rollback journal that is kept between them, so a kill at any instant leaves the last committed state, and a reader
makes no files. Nothing is synced: that costs 1 to 20 ms a call and guards against power cuts only, after which pages of
two ages may lie side by side. A row of `stat` is a fact that stays true whatever stands beside it (its stat fields are
compared with the file's), values of `memo` and `folder` carry their own xxh3 and are dropped when that differs, and a
file that SQLite cannot read is deleted and made anew.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping

import xxhash

SCHEMA_VERSION = 4
_CHECK = 16
_SCHEMA = """
CREATE TABLE stat (path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, inode INTEGER,
                   mode INTEGER, xxh3 BLOB, blake3 BLOB) WITHOUT ROWID;
CREATE TABLE folder (path BLOB PRIMARY KEY, head BLOB, files BLOB, contents BLOB);
CREATE TABLE memo (kind TEXT, name BLOB, value BLOB, PRIMARY KEY (kind, name)) WITHOUT ROWID;
"""

StatRow = tuple[bytes, int, int, int, int, int, bytes, bytes]
"""Path, size (bytes), mtime and ctime (ns since the epoch), inode (as signed 64 bits), mode, xxh3, blake3."""


class StateDatabase:
    """A connection that is opened at the first use and given up, silently, at the first trouble.

    Safe to use from several threads: every call holds one lock. `trouble` keeps the text of what went wrong.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self.trouble: str | None = None

    def stat_rows(self) -> list[StatRow]:
        """Read the whole stat table in one query (a query per file costs 5 us each, a row of a bulk read 0.6 us)."""
        with self._using() as db:
            return db.execute("SELECT * FROM stat").fetchall() if db else []
        return []

    def store_stats(self, rows: Iterable[StatRow], *, forget: Iterable[bytes] = ()) -> None:
        """Write rows over older ones of the same path and drop others, in one transaction."""
        with self._using() as db:
            if db:
                with db:
                    db.executemany("DELETE FROM stat WHERE path = ?", [(path,) for path in forget])
                    db.executemany("INSERT OR REPLACE INTO stat VALUES (?,?,?,?,?,?,?,?)", rows)

    def folder_heads(self, path: bytes) -> list[tuple[bytes, bytes]]:
        """Read the heads of a folder and of all below it, by path (`.`: every one)."""
        where, values = _below(path)
        with self._using() as db:
            return db.execute(f"SELECT path, head FROM folder {where}", values).fetchall() if db else []
        return []

    def folder_files(self, path: bytes) -> tuple[bytes, bytes] | None:
        """Read the head and the files of a folder, of one moment."""
        with self._using() as db:
            row = db.execute("SELECT head, files FROM folder WHERE path = ?", (path,)).fetchone() if db else None
            return (row[0], row[1]) if row else None
        return None

    def folder_contents(self, path: bytes) -> bytes | None:
        """Read the contents of a folder."""
        with self._using() as db:
            row = db.execute("SELECT contents FROM folder WHERE path = ?", (path,)).fetchone() if db else None
            return row[0] if row else None
        return None

    def store_folders(self, rows: Iterable[tuple[bytes, bytes, bytes, bytes]], *, forget: Iterable[bytes] = ()) -> None:
        """Write what is known of folders over what was, and drop others, in one transaction."""
        with self._using() as db:
            if db:
                with db:
                    db.executemany("DELETE FROM folder WHERE path = ?", [(path,) for path in forget])
                    db.executemany("INSERT OR REPLACE INTO folder VALUES (?,?,?,?)", rows)

    def another(self) -> StateDatabase:
        """Give a connection of its own to the same file: one must not be used on both sides of a fork."""
        return StateDatabase(self._path)

    def memo(self, kind: str, name: bytes) -> bytes | None:
        """Read one derived value."""
        with self._using() as db:
            row = (
                db.execute("SELECT value FROM memo WHERE kind = ? AND name = ?", (kind, name)).fetchone()
                if db
                else None
            )
            return _checked(row[0]) if row else None
        return None

    def memos(self, kind: str) -> dict[bytes, bytes]:
        """Read all derived values of a kind."""
        with self._using() as db:
            rows = db.execute("SELECT name, value FROM memo WHERE kind = ?", (kind,)) if db else ()
            checked = ((name, _checked(value)) for name, value in rows)
            return {name: value for name, value in checked if value is not None}
        return {}

    def store_memos(self, kind: str, values: Mapping[bytes, bytes], *, replace_kind: bool = False) -> None:
        """Write derived values of a kind; `replace_kind` drops all others of that kind in the same transaction."""
        with self._using() as db:
            if db:
                with db:
                    if replace_kind:
                        db.execute("DELETE FROM memo WHERE kind = ?", (kind,))
                    rows = [(kind, name, xxhash.xxh3_128_digest(value) + value) for name, value in values.items()]
                    db.executemany("INSERT OR REPLACE INTO memo VALUES (?,?,?)", rows)

    def close(self) -> None:
        """Close the file, so that no journal stays behind."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
                self.trouble = self.trouble or "closed"

    @contextlib.contextmanager
    def _using(self) -> Iterator[sqlite3.Connection | None]:
        with self._lock:
            connection = self._connected()
            try:
                yield connection
            except (sqlite3.Error, OSError) as error:
                self._give_up(error)

    def _connected(self) -> sqlite3.Connection | None:
        if self._connection is None and self.trouble is None:
            try:
                self._connection = _open(self._path)
            except (sqlite3.Error, OSError) as error:
                self._give_up(error)
        return self._connection

    def _give_up(self, error: Exception) -> None:
        self.trouble = str(error)
        broken, self._connection = self._connection, None
        if broken is not None:
            with contextlib.suppress(sqlite3.Error):
                broken.close()


def _open(path: str) -> sqlite3.Connection:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        return _connect(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):  # locked or unwritable: another process may be using it well
            raise
        for name in (path, path + "-journal"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
        return _connect(path)


def _connect(path: str) -> sqlite3.Connection:
    if not os.path.exists(path):
        _create(path)
    db = sqlite3.connect(path, timeout=1.0, check_same_thread=False)
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version != SCHEMA_VERSION:
        db.close()
        raise sqlite3.DatabaseError(f"state database has schema {version}")
    db.execute("PRAGMA synchronous = OFF")
    db.execute("PRAGMA journal_mode = PERSIST")
    return db


def _create(path: str) -> None:
    """Make an empty database whole, then give it its name; of two that do so at once, the first one's stands."""
    half = f"{path}.{os.getpid()}-{threading.get_ident()}"
    db = sqlite3.connect(half, isolation_level=None)
    try:
        db.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_SCHEMA}")
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    finally:
        db.close()
    with contextlib.suppress(FileExistsError):
        os.link(half, path)
    os.unlink(half)


def _below(path: bytes) -> tuple[str, tuple[bytes, ...]]:
    """Give the condition for a folder and all below it: "0" comes right after "/"."""
    if path == b".":
        return "", ()
    return "WHERE path = ? OR (path > ? AND path < ?)", (path, path + b"/", path + b"0")


def _checked(value: bytes) -> bytes | None:
    """Give a memo's value without its check; None when they do not fit."""
    body = value[_CHECK:]
    return body if xxhash.xxh3_128_digest(body) == value[:_CHECK] else None
