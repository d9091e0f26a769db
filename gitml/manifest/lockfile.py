"""Lock files: `.gitml/lock/<step>.json`, or `.gitml/lock/<step>/<instance>.json` for a family.

One small file per instance, so that branches which change different steps merge without a conflict. The bytes are a
function of the entry alone (sorted names, two-space indent, newline at the end, no time, host or commit), so that two
people who made the same thing wrote the same file. Names are escaped as `gitml/manifest/filename.py` says, outside
`[A-Za-z0-9_=,+-]` (and `.` in instances).
"""

from __future__ import annotations

import json

from gitml.errors import UsageError
from gitml.manifest.filename import PLAIN, escape_name
from gitml.model.lock import LockEntry
from gitml.model.record import NewerFormatError, RecordError, lock_from_json, lock_to_json
from gitml.model.step import Step

FOLDER = ".gitml/lock"
MAX_BYTES = 16 << 20


class LockFileError(UsageError):
    """A lock file cannot be read; `path` names it, relative to the project."""

    def __init__(self, path: str, why: str, hint: str) -> None:
        super().__init__(f"{path}: {why}", hint=hint)
        self.path = path


class ConflictedLockError(LockFileError):
    """A merge left conflict markers in a lock."""


def lock_path(step: Step) -> str:
    """Name the lock file of a step, relative to the project."""
    if step.instance is None:
        return f"{FOLDER}/{escape_name(step.name, PLAIN)}.json"
    return f"{FOLDER}/{escape_name(step.name, PLAIN)}/{escape_name(step.instance, PLAIN | {'.'})}.json"


def encode_lock(lock: LockEntry) -> bytes:
    """Write a lock's bytes."""
    text = json.dumps(lock_to_json(lock), sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "surrogatepass") + b"\n"


def decode_lock(path: str, data: bytes) -> LockEntry:
    """Read a lock's bytes; `path` is for messages.

    Raises:
        ConflictedLockError: It has conflict markers.
        LockFileError: It is of a newer format, too large, or damaged.
    """
    if len(data) > MAX_BYTES:
        raise LockFileError(path, f"{len(data)} bytes are too many for a lock", "restore it with `git checkout`")
    if data.startswith(b"<<<<<<<") or b"\n<<<<<<<" in data:
        raise ConflictedLockError(path, "a merge left conflict markers", "run `gitml repro` on its step to resolve it")
    try:
        return lock_from_json(json.loads(data))
    except NewerFormatError as error:
        raise LockFileError(path, str(error), "update gitml: nothing is rerun by an older version") from error
    except RecordError as error:
        raise LockFileError(path, str(error), "restore it with `git checkout`, or delete it") from error
    except (ValueError, RecursionError):
        raise LockFileError(path, "not JSON", "restore it with `git checkout`, or delete it") from None
