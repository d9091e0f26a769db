"""Read a file through fsspec: object stores, and whatever else the user allows.

File systems are other people's packages and raise what they like, so whatever comes out of a call is put into gitml's
words here, once; what cannot be told to be final counts as worth another try.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from typing import Any

import fsspec

from gitml.remote.error import MissingCredentialsError, MissingExtraError, RemoteError, TransientError
from gitml.remote.fetcher import Answer, Version

_BLOCK = 8 << 20
_ANONYMOUS = ("s3", "s3a")
"""Protocols that can be spoken without credentials, but only if that is asked for."""
_TAGS = ("ETag", "etag", "checksum", "md5Hash", "content_md5", "blob_id")
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")
_LONGEST_TAG = 1000
_LONGEST_REASON = 300
_EXTRAS = {
    "s3": 'pip install "gitml[s3]"',
    "s3a": 'pip install "gitml[s3]"',
    "gs": "pip install gcsfs",
    "gcs": "pip install gcsfs",
    "az": "pip install adlfs",
    "abfs": "pip install adlfs",
    "adl": "pip install adlfs",
    "hf": "pip install huggingface_hub",
    "oss": "pip install ossfs",
    "oci": "pip install ocifs",
    "sftp": "pip install paramiko",
    "ssh": "pip install paramiko",
}


class FilesystemFetcher:
    """Reads the file at a URL of any protocol that fsspec has a file system for."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._protocol = url.partition("://")[0].lower()
        self._open({})
        with self._translated():
            self._path: str = self._fs._strip_protocol(url)

    def _open(self, options: dict[str, Any]) -> None:
        """Make the file system. None is taken that was made before: its listings would hide what is newer."""
        with self._translated():
            try:
                own = fsspec.get_filesystem_class(self._protocol)._get_kwargs_from_urls(self._url)
                self._fs: Any = fsspec.filesystem(self._protocol, skip_instance_cache=True, **{**own, **options})
            except ImportError as error:
                hint = _EXTRAS.get(self._protocol, str(error))
                why = f"what speaks {self._protocol} is not installed"
                raise MissingExtraError(self._url, why, hint=hint) from error

    @contextlib.contextmanager
    def ask(self, known: str | None) -> Iterator[Answer | None]:
        """Ask for the bytes from the first one, unless they are known."""
        version = self._look()
        yield None if version.tag is not None and version.tag == known else Answer(version, 0, self._blocks(version, 0))

    @contextlib.contextmanager
    def resume(self, version: Version, start: int) -> Iterator[Answer]:
        """Ask for the rest of a version."""
        now = self._look()
        at = start if now == version and now.tag is not None else 0
        yield Answer(now, at, self._blocks(now, at))

    def _look(self) -> Version:
        try:
            info = self._info()
        except MissingCredentialsError:
            if self._protocol not in _ANONYMOUS:
                raise
            self._open({"anon": True})  # much data is public; whether this is, its store says
            info = self._info()
        if info.get("type") != "file":
            raise RemoteError(self._url, "this is not a file", hint="a source that is downloaded is one file")
        size = info.get("size")
        return Version(_tag(info), size if isinstance(size, int) else None)

    def _info(self) -> dict[str, Any]:
        with self._translated():
            self._fs.invalidate_cache()
            info: dict[str, Any] = self._fs.info(self._path)
            return info

    def _blocks(self, version: Version, start: int) -> Iterator[bytes]:
        with self._translated():
            file = self._fs.open(self._path, "rb", block_size=_BLOCK)
        try:
            with self._translated():
                file.seek(start)
            while True:
                with self._translated():
                    block = file.read(_BLOCK)
                if not block:
                    break
                yield block
        finally:
            file.close()
        if self._look() != version:
            raise TransientError(self._url, "it was replaced while it was downloaded")

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except RemoteError:
            raise
        except FileNotFoundError as error:
            raise RemoteError(self._url, "there is no such file", hint="correct the url in the declaration") from error
        except (PermissionError, IsADirectoryError, NotImplementedError, ValueError) as error:
            hint = "credentials are taken from your environment, as the tools of that store take them"
            raise RemoteError(self._url, f"refused: {_reason(error)}", hint=hint) from error
        except Exception as error:
            if type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"):
                hint = "credentials are taken from your environment, as the tools of that store take them"
                raise MissingCredentialsError(self._url, f"there are none: {_reason(error)}", hint=hint) from error
            raise TransientError(self._url, f"cannot be read: {_reason(error)}") from error


def _tag(info: dict[str, Any]) -> str | None:
    """Name a version: by a check sum that the store keeps, else by its time and size together."""
    for name in _TAGS:
        if isinstance(info.get(name), str) and info[name]:
            return _checked(str(info[name]))
    for name in _TIMES:
        if info.get(name) is not None:
            value = info[name]
            told = value.isoformat() if isinstance(value, datetime.datetime) else str(value)
            return _checked(f"{name}: {told}, size: {info.get('size')}")
    return None


def _checked(tag: str) -> str | None:
    return tag if tag.isprintable() and len(tag) <= _LONGEST_TAG else None


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{lines[0][:_LONGEST_REASON]} ({type(error).__name__})" if lines else type(error).__name__
