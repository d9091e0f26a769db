"""Lock files: `.gitml/lock/<step>.json`, or `.gitml/lock/<step>/<instance>.json` for a family.

One small file per instance, so that branches which change different steps merge without a conflict. The bytes are a
function of the entry alone (sorted names, two-space indent, newline at the end, no time, host or commit), so that two
people who made the same thing wrote the same file. Names are percent-escaped outside `[A-Za-z0-9_=,+-]` (and `.` in
instances); a name that is long, or that only case tells apart from another, has its digest appended by the caller's
`distinct` rule below: an upper-case letter anywhere appends it, which needs no look at the other names.
"""

from __future__ import annotations

import json
import string

from gitml.errors import UsageError
from gitml.hashing.file import digest_bytes
from gitml.model.lock import LockEntry
from gitml.model.record import NewerFormatError, RecordError, lock_from_json, lock_to_json
from gitml.model.step import Step

FOLDER = ".gitml/lock"
MAX_BYTES = 16 << 20
_PLAIN = frozenset(string.ascii_letters + string.digits + "_=,+-")
_LONGEST = 120


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
        return f"{FOLDER}/{_escape(step.name, _PLAIN)}.json"
    return f"{FOLDER}/{_escape(step.name, _PLAIN)}/{_escape(step.instance, _PLAIN | {'.'})}.json"


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


def _escape(name: str, plain: frozenset[str]) -> str:
    escaped = "".join(
        c if c in plain else "".join(f"%{b:02X}" for b in c.encode("utf-8", "surrogatepass")) for c in name
    )
    if escaped.startswith("."):
        escaped = "%2E" + escaped[1:]
    if len(escaped) > _LONGEST or name != name.lower():
        return f"{escaped[:_LONGEST]}~{digest_bytes(name.encode('utf-8', 'surrogatepass')).hex[:12]}"
    return escaped
