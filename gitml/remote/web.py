"""Read a file over HTTP (RFC 9110) with the standard library.

Whether something newer is there is asked by the request that would bring it (`If-None-Match`): one round trip, and it
works where `HEAD` is refused or answered otherwise than `GET`, as servers behind signed URLs do. A download goes on
only with a strong entity tag (`If-Range`), so that two versions are never joined. The bytes are kept as they come over
the wire: what a publisher's digest names is what `curl -O` writes.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import ssl
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from time import time
from urllib.parse import quote, urljoin, urlsplit
from urllib.request import OpenerDirector, Request

from gitml.model.url import check_url, protocol_of
from gitml.remote.credentials import Credentials
from gitml.remote.error import RemoteError, TransientError
from gitml.remote.fetcher import Answer, Version
from gitml.remote.opener import LinkLocalError, refuse_link_local

_BLOCK = 1 << 20
_REDIRECTS = 10
_REDIRECTING = frozenset((301, 302, 303, 307, 308))
_TRANSIENT = frozenset((408, 425, 429, 500, 502, 503, 504))
_NOT_SATISFIABLE = 416
_LONGEST_TAG = 1000
_ENTITY_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')
_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)")
_LONGEST_WAIT = 60.0
_KEPT = "%/:=&?~+!$,;'@()*[]"
"""Characters of a URL that may stand as they are."""


class WebFetcher:
    """Reads the file at an `http://` or `https://` URL; `timeout`: seconds without a byte that are too many."""

    def __init__(self, url: str, opener: OpenerDirector, credentials: Credentials, *, timeout: float) -> None:
        self._url = url
        self._opener = opener
        self._credentials = credentials
        self._timeout = timeout

    @contextlib.contextmanager
    def ask(self, known: str | None) -> Iterator[Answer | None]:
        """Ask for the bytes from the first one, unless they are known."""
        headers = {"If-None-Match": known} if known is not None and _ENTITY_TAG.fullmatch(known) else {}
        with self._open(headers) as response:
            if response.status == http.HTTPStatus.NOT_MODIFIED and headers:
                yield None
                return
            self._expect(response, http.HTTPStatus.OK)
            version = _version(response)
            same = known is not None and version.tag is not None and _weak(version.tag) == _weak(known)
            yield None if same else Answer(version, 0, self._blocks(response))

    @contextlib.contextmanager
    def resume(self, version: Version, start: int) -> Iterator[Answer]:
        """Ask for the rest of a version."""
        if start and version.tag is not None and _ENTITY_TAG.fullmatch(version.tag) and version.tag[0] == '"':
            with self._open({"Range": f"bytes={start}-", "If-Range": version.tag}) as response:
                if response.status == http.HTTPStatus.OK:
                    yield Answer(_version(response), 0, self._blocks(response))
                    return
                if _continues(response, version, start):
                    yield Answer(version, start, self._blocks(response))
                    return
                if response.status not in (http.HTTPStatus.PARTIAL_CONTENT, _NOT_SATISFIABLE):
                    self._expect(response, http.HTTPStatus.OK)
        with self.ask(None) as answer:
            assert answer is not None  # nothing is known
            yield answer

    @contextlib.contextmanager
    def _open(self, headers: Mapping[str, str]) -> Iterator[http.client.HTTPResponse]:
        """Send a request and follow where it is redirected to."""
        url = self._url
        for _ in range(_REDIRECTS + 1):
            with self._translated():
                refuse_link_local(urlsplit(url).hostname or "")  # a proxy would go there unseen
                request = Request(_spelled(url), headers=dict(headers))
            authorization = self._credentials.of(url)
            if authorization is not None:
                request.add_header("Authorization", authorization)
            with self._translated():
                response = self._opener.open(request, timeout=self._timeout)
            with response:
                target = response.headers.get("Location") if response.status in _REDIRECTING else None
                if target is None:
                    yield response
                    return
            url = self._redirected(url, target)
        raise RemoteError(self._url, f"it is redirected more than {_REDIRECTS} times")

    def _redirected(self, url: str, location: str) -> str:
        try:
            target = check_url(urljoin(url, location))
            host = urlsplit(target).hostname
        except ValueError as error:
            raise RemoteError(self._url, f"it is redirected to what gitml does not open: {error}") from error
        if protocol_of(target) not in ("http", "https"):
            raise RemoteError(self._url, f"it is redirected to {protocol_of(target)!r}, which is not HTTP")
        if protocol_of(url) == "https" and protocol_of(target) == "http":
            hint = (
                f"what comes from {host} without encryption could be anything: name a URL that needs no such redirect"
            )
            raise RemoteError(self._url, "it is redirected from https to http", hint=hint)
        return target

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Say what failed of a connection in gitml's words."""
        try:
            yield
        except OSError as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, ssl.SSLCertVerificationError):
                hint = "if its certificate is your own, name the authority's file in SSL_CERT_FILE"
                raise RemoteError(
                    self._url, f"its certificate is not valid: {reason.verify_message}", hint=hint
                ) from error
            if isinstance(reason, LinkLocalError):
                raise RemoteError(self._url, str(reason), hint="gitml never downloads from there") from error
            why = "nothing came for too long" if isinstance(reason, TimeoutError) else f"cannot be reached: {reason}"
            raise TransientError(self._url, why) from error
        except (ValueError, http.client.InvalidURL) as error:  # a port that is no number, a host that cannot be
            raise RemoteError(self._url, f"this URL cannot be opened: {error}") from error
        except http.client.HTTPException as error:
            raise TransientError(
                self._url, f"the answer is no HTTP, or was cut short ({type(error).__name__})"
            ) from error

    def _blocks(self, response: http.client.HTTPResponse) -> Iterator[bytes]:
        while True:
            with self._translated():
                block = response.read1(_BLOCK)
            if not block:
                return
            yield block

    def _expect(self, response: http.client.HTTPResponse, wanted: int) -> None:
        status = response.status
        if status == wanted:
            return
        told = f"the server answered {status} {response.reason or ''}".rstrip()
        if status in _TRANSIENT:
            raise TransientError(self._url, told, after=_wait(response.headers.get("Retry-After")))
        if status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
            raise RemoteError(self._url, told, hint="if it needs a user and password, write them into ~/.netrc")
        if status in (http.HTTPStatus.NOT_FOUND, http.HTTPStatus.GONE):
            raise RemoteError(self._url, told, hint="correct the url in the declaration")
        raise RemoteError(self._url, told)


def _spelled(url: str) -> str:
    """Spell a URL in ASCII, as it goes over the wire; what is escaped already stays so."""
    scheme, host, path, query, _ = urlsplit(url)
    ascii_host = host if host.isascii() else host.encode("idna").decode()
    return f"{scheme}://{ascii_host}{quote(path, safe=_KEPT)}" + (f"?{quote(query, safe=_KEPT)}" if query else "")


def _version(response: http.client.HTTPResponse) -> Version:
    """Name the version of an answer: by its entity tag, else by its date and size together."""
    size = response.length
    tag = response.headers.get("ETag", "").strip()
    if _ENTITY_TAG.fullmatch(tag) and len(tag) <= _LONGEST_TAG:
        return Version(tag, size)
    modified = response.headers.get("Last-Modified", "").strip()
    if modified and size is not None and modified.isprintable() and len(modified) <= _LONGEST_TAG:
        return Version(f"Last-Modified: {modified}, Content-Length: {size}", size)
    return Version(None, size)


def _continues(response: http.client.HTTPResponse, version: Version, start: int) -> bool:
    """Tell whether an answer is the rest that was asked for."""
    match = _RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    if response.status != http.HTTPStatus.PARTIAL_CONTENT or not match or int(match[1]) != start:
        return False
    tag = response.headers.get("ETag", version.tag)
    return tag == version.tag and (match[2] == "*" or version.size is None or int(match[2]) == version.size)


def _weak(tag: str) -> str:
    """Spell an entity tag for the weak comparison of RFC 9110, section 8.8.3.2."""
    return tag.removeprefix("W/")


def _wait(text: str | None) -> float:
    """Read `Retry-After`: seconds or a date; nonsense is no wait."""
    if not text:
        return 0.0
    try:
        seconds = float(text) if text.strip().isdigit() else parsedate_to_datetime(text).timestamp() - time()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), _LONGEST_WAIT)
