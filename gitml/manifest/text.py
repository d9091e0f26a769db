"""From bytes to text to tables, with a position for whatever goes wrong on the way."""

from __future__ import annotations

from typing import Any

import tomli

from gitml.manifest.problems import ManifestError, at, place

MAX_BYTES = 8 * 2**20
"""The largest file that is read as a declaration; a reader checks this before it reads."""


def decode(file: str, data: bytes) -> str:
    """Decode UTF-8; a byte order mark is dropped.

    Raises:
        ManifestError: The file is larger than `MAX_BYTES`, or a byte of it is not UTF-8.
    """
    if len(data) > MAX_BYTES:
        raise whole_file(file, "", f"the file has {len(data)} bytes; at most {MAX_BYTES} are read")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        good = data[: error.start].decode("utf-8-sig")
        end = data.find(b"\n", error.start)
        rest = data[error.start : len(data) if end < 0 else end].decode(errors="replace")
        where = place(good + rest, len(good))
        message = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise ManifestError([at(file, where, message, "save the file as UTF-8")]) from error


def parse_toml(file: str, text: str) -> dict[str, Any]:
    """Parse TOML.

    Raises:
        ManifestError: The first mistake in the syntax, or brackets nested deeper than the reader can follow.
    """
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        # The reader counts in text whose line ends it made LF, so a line's number holds but an offset may not.
        lines = text.replace("\r\n", "\n").split("\n")
        offset = sum(len(line) + 1 for line in lines[: error.lineno - 1]) + error.colno - 1
        where = place("\n".join(lines), offset)
        raise ManifestError([at(file, where, f"this is not TOML: {_sentence(error.msg)}")]) from error
    except RecursionError as error:
        raise whole_file(file, text, "values are nested too deeply to be read") from error
    except ValueError as error:  # an integer of more digits than Python converts
        raise whole_file(file, text, f"this cannot be read: {error}") from error


def whole_file(file: str, text: str, message: str, hint: str | None = None) -> ManifestError:
    """Refuse a file where no place in it is to blame."""
    return ManifestError([at(file, place(text, 0), message, hint)])


def _sentence(message: str) -> str:
    return message[:1].lower() + message[1:]
