"""Pointers: `.gitml/sources/<path>.json`, the committed record of a source (`data/raw` has `data/raw.json`).

    {
      "entry": {"digest": "blake3:…", "files": 3, "mode": "directory", "size": 4096},
      "etag": "…",
      "format": 1,
      "path": "data/raw",
      "url": "…"
    }

`etag` and `url` are there for downloaded sources only. The bytes are a function of the pointer alone: sorted names,
two-space indent, newline at the end, no time and no host; text that is not UTF-8 makes all of it ASCII.

Each component of the path is escaped as `gitml/manifest/filename.py` says, outside `[A-Za-z0-9_=,+-.]`. A folder whose
name ends in `.json` has that dot escaped too: else the folder of source `a.json/b` would be the file of source `a`. A
path whose file name would be longer than file systems take has its digest for a name: `~<40 hex digits>.json`.
"""

from __future__ import annotations

import json

from gitml.errors import UsageError
from gitml.hashing.file import digest_bytes
from gitml.manifest.filename import PLAIN, escape_name
from gitml.model.path import PathError, check_path
from gitml.model.record import RecordError, entry_from_json, entry_to_json
from gitml.model.source import Pointer
from gitml.model.tree import Kind

FOLDER = ".gitml/sources"
FORMAT = 1
MAX_BYTES = 64 << 10
_DOTTED = PLAIN | {"."}
_LONGEST = 1000
_FIELDS = frozenset(("entry", "etag", "format", "path", "url"))
_RESTORE = "restore it with `git checkout`, or delete it and call `gitml add` again"


class PointerFileError(UsageError):
    """A pointer cannot be read; `path` names its file, relative to the project."""

    def __init__(self, path: str, why: str, hint: str) -> None:
        super().__init__(f"{path}: {why}", hint=hint)
        self.path = path


class ConflictedPointerError(PointerFileError):
    """A merge left conflict markers in a pointer."""


def pointer_path(path: str) -> str:
    """Name the pointer file of a source, relative to the project."""
    *folders, name = path.split("/")
    parts = [*(_folder(folder) for folder in folders), escape_name(name, _DOTTED)]
    spelled = "/".join(parts)
    if len(spelled) > _LONGEST:
        spelled = "~" + digest_bytes(path.encode("utf-8", "surrogatepass")).hex[:40]
    return f"{FOLDER}/{spelled}.json"


def encode_pointer(pointer: Pointer) -> bytes:
    """Write a pointer's bytes."""
    data: dict[str, object] = {"format": FORMAT, "path": pointer.path, "entry": entry_to_json(pointer.entry)}
    if pointer.url is not None:
        data["url"] = pointer.url
    if pointer.etag is not None:
        data["etag"] = pointer.etag
    try:
        return json.dumps(data, sort_keys=True, indent=2, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:  # bytes that are not UTF-8 are half surrogates in memory, which only an escape can write
        return json.dumps(data, sort_keys=True, indent=2).encode() + b"\n"


def decode_pointer(file: str, data: bytes) -> Pointer:
    """Read a pointer that may come from anyone; `file` is its path relative to the project.

    Raises:
        ConflictedPointerError: It has conflict markers.
        PointerFileError: It is of a newer format, too large, damaged, or speaks of a path that is not its own.
    """
    if len(data) > MAX_BYTES:
        raise PointerFileError(file, f"more than {MAX_BYTES} bytes are no pointer", _RESTORE)
    if data.startswith(b"<<<<<<<") or b"\n<<<<<<<" in data:
        hint = f"git checkout --ours (or --theirs) {file}, then gitml checkout; or gitml add what stands here now"
        raise ConflictedPointerError(file, "a merge left conflict markers", hint)
    try:
        table = json.loads(data)
    except (ValueError, RecursionError):
        raise PointerFileError(file, "not JSON", _RESTORE) from None
    try:
        return _pointer(file, table)
    except (RecordError, PathError) as error:
        raise PointerFileError(file, str(error), _RESTORE) from error


def _pointer(file: str, table: object) -> Pointer:
    if not isinstance(table, dict):
        raise RecordError("not a table")
    _check_format(file, table.get("format"))
    unknown = sorted(table.keys() - _FIELDS)
    if unknown:
        raise RecordError(f"unknown field {unknown[0]!r}")
    path = _text("path", table.get("path"))
    if check_path(path) != path or path == ".":
        raise RecordError(f"path {path!r} is not the path of a source in its one spelling")
    if pointer_path(path) != file:
        raise RecordError(f"the pointer of {path!r} belongs into {pointer_path(path)}")
    entry = entry_from_json("entry", table.get("entry"))
    if entry.kind is Kind.SYMLINK:
        raise RecordError("a source is a file or a folder, not a symlink")
    return Pointer(path=path, entry=entry, url=_optional("url", table), etag=_optional("etag", table))


def _check_format(file: str, found: object) -> None:
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise RecordError(f"format {found!r} is not a version")
    if found > FORMAT:
        why = f"format {found} is newer than this gitml knows ({FORMAT})"
        raise PointerFileError(file, why, "update gitml")


def _optional(name: str, table: dict[str, object]) -> str | None:
    return _text(name, table[name]) if name in table else None


def _text(name: str, data: object) -> str:
    if not isinstance(data, str):
        raise RecordError(f"{name} is not text")
    return data


def _folder(name: str) -> str:
    escaped = escape_name(name, _DOTTED)
    return escaped[: -len(".json")] + "%2Ejson" if escaped.endswith(".json") else escaped
