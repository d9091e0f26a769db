"""Connections of HTTP: proxies and certificates as the user's environment says, but no way to the machine's secrets.

A clone says where to download from, so the addresses from which cloud machines hand out credentials to whoever asks
(169.254.169.254, and all that is link-local) are never spoken to, whatever name leads there.
"""

from __future__ import annotations

import http.client
import ipaddress
import ssl
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request

from gitml.version import __version__


class LinkLocalError(OSError):
    """A name leads to a link-local address."""


def refuse_link_local(host: str) -> None:
    """Refuse an address that only the machine itself and its neighbours have; a name is left to be looked up.

    Raises:
        LinkLocalError: It is such an address.
    """
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return
    mapped = getattr(found, "ipv4_mapped", None)
    if found.is_link_local or (mapped is not None and mapped.is_link_local):
        raise LinkLocalError(f"{host} is link-local: cloud machines hand out their credentials there")


class _Connection(http.client.HTTPConnection):
    """Looks at the address that it came to before it says a word: a look before would trust the name twice."""

    def connect(self) -> None:
        super().connect()
        refuse_link_local(self.sock.getpeername()[0])


class _SecureConnection(http.client.HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        refuse_link_local(self.sock.getpeername()[0])


class _Handler(HTTPHandler):
    def http_open(self, req: Request) -> http.client.HTTPResponse:
        return self.do_open(_Connection, req)


class _SecureHandler(HTTPSHandler):
    def __init__(self) -> None:
        self._certificates = ssl.create_default_context()
        super().__init__(context=self._certificates)

    def https_open(self, req: Request) -> http.client.HTTPResponse:
        return self.do_open(_SecureConnection, req, context=self._certificates)


def new_opener() -> OpenerDirector:
    """Make what opens HTTP and nothing else: no files, no FTP, no cookies; redirects are left to the caller."""
    opener = OpenerDirector()
    for handler in (ProxyHandler(), _Handler(), _SecureHandler()):
        opener.add_handler(handler)
    opener.addheaders = [("User-Agent", f"gitml/{__version__}")]
    return opener
