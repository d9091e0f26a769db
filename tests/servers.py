"""Real servers on the loopback interface, which misbehave when they are told to."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass(slots=True)
class Page:
    """A file of a `WebServer`. `names`: what versions have: entity tags (`strong`, `weak`), `dates`, or `nothing`."""

    data: bytes
    names: str = "strong"
    ranges: bool = True
    length: bool = True
    modified: float = 1_700_000_000.0

    @property
    def tag(self) -> str:
        digest = hashlib.sha256(self.data).hexdigest()[:16]
        return f'W/"{digest}"' if self.names == "weak" else f'"{digest}"'


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that came."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass(slots=True)
class WebServer:
    """Pages by path. `mishaps`: by path, what happens instead of the next answers, one for each.

    A mishap is a status (`503`, or `503 after 7`), `close` (no answer), `stall` (silence for ever), `cut 100` (the body
    ends after so many bytes), `stall at 100`, `garbage`, or `to URL` (a redirect, with `301 to URL` its status).
    """

    url: str = ""
    pages: dict[str, Page] = field(default_factory=dict)
    mishaps: dict[str, list[str]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def put(self, path: str, data: bytes, **page: object) -> str:
        """Publish a file; gives its URL."""
        self.pages[path] = Page(data, **page)  # type: ignore[arg-type]
        return self.url + path

    def fail(self, path: str, *mishaps: str) -> str:
        """Let the next answers for a path fail; gives its URL."""
        self.mishaps.setdefault(path, []).extend(mishaps)
        return self.url + path

    def ranges(self) -> list[str | None]:
        """The ranges that were asked for, one for each request."""
        return [asked.headers.get("range") for asked in self.asked]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    web: WebServer

    def do_GET(self) -> None:
        web = self.web
        web.asked.append(Asked(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}))
        path = self.path.partition("?")[0]
        waiting = web.mishaps.get(path)
        mishap = waiting.pop(0) if waiting else ""
        if self._refused(mishap):
            return
        page = web.pages.get(path)
        if page is None:
            self._plain(404)
        elif self.headers.get("If-None-Match") == page.tag and page.names in ("strong", "weak"):
            self.send_response(304)
            self.send_header("ETag", page.tag)
            self.end_headers()
        else:
            self._page(page, mishap)

    def _refused(self, mishap: str) -> bool:
        if match := re.fullmatch(r"(\d{3})(?: after (.+))?", mishap):
            self._plain(int(match[1]), {"Retry-After": match[2]} if match[2] else {})
        elif match := re.fullmatch(r"(?:(\d{3}) )?to (.+)", mishap):
            self._plain(int(match[1] or 302), {"Location": match[2]})
        elif mishap == "stall":
            self.web.stopping.wait(30)
            self.close_connection = True
        elif mishap == "close":
            self.close_connection = True
        elif mishap == "garbage":
            self.wfile.write(b"what is HTTP?\r\n\r\n")
            self.close_connection = True
        else:
            return False
        return True

    def _page(self, page: Page, mishap: str) -> None:
        start = self._start(page)
        body = page.data[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(page.data) - 1}/{len(page.data)}")
        if page.names in ("strong", "weak"):
            self.send_header("ETag", page.tag)
        if page.names == "dates":
            self.send_header("Last-Modified", formatdate(page.modified, usegmt=True))
        if page.length:
            self.send_header("Content-Length", str(len(body)))
        else:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._body(page, body, mishap)

    def _body(self, page: Page, body: bytes, mishap: str) -> None:
        match = re.fullmatch(r"(cut|stall at) (\d+)", mishap)
        sent = body[: int(match[2])] if match else body
        if page.length:
            self.wfile.write(sent)
        else:
            for at in range(0, len(sent), 1000):
                part = sent[at : at + 1000]
                self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            if not match:
                self.wfile.write(b"0\r\n\r\n")
        if match:
            self.wfile.flush()
            self.close_connection = True
            if match[1] == "stall at":
                self.web.stopping.wait(30)

    def _start(self, page: Page) -> int:
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        current = self.headers.get("If-Range") in (None, page.tag)
        return int(match[1]) if match and current and page.ranges and page.names == "strong" else 0

    def _plain(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves early is what tests are about."""


@contextmanager
def web_server(certificate: Path | None = None) -> Iterator[WebServer]:
    """Serve HTTP, or HTTPS with a certificate of `make_certificate`."""
    web = WebServer()
    handler = type("Handler", (_Handler,), {"web": web})
    server = _Quiet(("127.0.0.1", 0), handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    web.url = f"{'http' if certificate is None else 'https'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        web.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


def make_certificate(path: Path) -> Path:
    """Write a key and a certificate of 127.0.0.1 that is its own authority."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    certificate = builder.sign(key, hashes.SHA256())
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(*form) + certificate.public_bytes(serialization.Encoding.PEM))
    return path


@contextmanager
def s3_server() -> Iterator[dict[str, str]]:
    """Serve S3 from a process of its own; gives the variables by which its clients find it."""
    log_read, log_write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=log_write,
        env={**os.environ, "NO_COLOR": "1"},
    )
    os.close(log_write)
    try:
        url = _announced(log_read)
        yield {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    finally:
        process.kill()
        process.wait()
        os.close(log_read)


def _announced(log: int) -> str:
    """Wait until a server says where it listens; its further words are read and dropped."""
    text = b""
    end = time.monotonic() + 60
    while not (match := re.search(rb"Running on (http://127\.0\.0\.1:\d+)", text)):
        part = os.read(log, 65536)
        assert part, f"the server ended: {text!r}"
        assert time.monotonic() < end, text
        text += part
    threading.Thread(target=_drain, args=(os.dup(log),), daemon=True).start()
    return match[1].decode()


def _drain(log: int) -> None:
    while os.read(log, 65536):
        pass
    os.close(log)


def free_port() -> int:
    """Name a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
