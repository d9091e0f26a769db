"""Which protocols a declaration may name, and what reads them.

A declaration comes with a clone, and `gitml update` is no reason to trust it. So the list is of what may be spoken, not
of what may not: packages add file systems to fsspec at will, some of which read this machine's files (`file`), open
what others hand them (`reference`, `dask`, caches and archives), or log in with the user's keys wherever they are sent
(`ssh`). Of these the user may allow some by `GITML_ALLOW_PROTOCOL=file,sftp`, as Git has `GIT_ALLOW_PROTOCOL`: in the
environment, which no clone can set.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.request import OpenerDirector

from gitml.model.url import protocol_of, shown_url
from gitml.remote.credentials import Credentials
from gitml.remote.error import RefusedProtocolError
from gitml.remote.fetcher import Fetcher
from gitml.remote.opener import new_opener
from gitml.remote.web import WebFetcher

VARIABLE = "GITML_ALLOW_PROTOCOL"
_WEB = ("http", "https")
_STORES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "hf")
_FILES = ("file", "ftp", "sftp", "ssh", "smb", "webdav", "hdfs", "webhdfs")
_SERVICES = ("adl", "oss", "oci", "tos", "github", "gdrive", "dropbox", "box")
_ON_WORD = (*_FILES, *_SERVICES)


class Fetchers:
    """Gives what reads a URL; `timeout`: seconds without a byte that are too many, over HTTP."""

    def __init__(self, environ: Mapping[str, str], *, timeout: float = 30.0) -> None:
        self._environ = environ
        self._timeout = timeout
        self._opener: OpenerDirector | None = None  # its certificates take 20 ms to load

    def at(self, url: str) -> Fetcher:
        """Give what reads a checked URL.

        Raises:
            RefusedProtocolError: It names a protocol that is not spoken, or only on the user's word.
            MissingExtraError: The package for it is not installed.
        """
        if protocol_of(url) in _WEB:
            self._opener = self._opener or new_opener()
            return WebFetcher(url, self._opener, Credentials(self._environ), timeout=self._timeout)
        _refuse_unless_allowed(url, protocol_of(url), self._environ)
        from gitml.remote.filesystem import FilesystemFetcher  # noqa: PLC0415 - plain downloads do without fsspec

        return FilesystemFetcher(url)


def _refuse_unless_allowed(url: str, protocol: str, environ: Mapping[str, str]) -> None:
    allowed = {name.strip().lower() for name in environ.get(VARIABLE, "").split(",")}
    if protocol in _STORES or (protocol in _ON_WORD and protocol in allowed):
        if protocol == "file" and not url.lower().startswith("file:///"):
            raise RefusedProtocolError(f"{url} is not absolute", hint='write it like "file:///data/raw.csv"')
        return
    shown = shown_url(url)
    if protocol in _ON_WORD:
        hint = f"a clone may not have gitml open this on its own; if you trust it: {VARIABLE}={protocol}"
        raise RefusedProtocolError(f"{shown}: {protocol} is not spoken unless you allow it", hint=hint)
    known = ", ".join((*_WEB, *_STORES))
    raise RefusedProtocolError(f"{shown}: {protocol} is not a protocol that gitml downloads by", hint=f"use {known}")
