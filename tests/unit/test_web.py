"""HTTP as it is in the world: servers that fail, redirect, say little, or want what they must not have."""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gitml.errors import UsageError
from gitml.hashing.file import digest_bytes
from gitml.hashing.meter import SILENT
from gitml.remote.download import Downloaded, Patience, Wanted, download
from gitml.remote.error import RefusedProtocolError, RemoteError, TransientError
from gitml.remote.opener import LinkLocalError, refuse_link_local
from gitml.remote.protocol import Fetchers
from tests.servers import WebServer, free_port, make_certificate, web_server

DATA = bytes(range(256)) * 1000


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as running:
        yield running


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls") / "server.pem")


@pytest.fixture
def secure(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with web_server(certificate) as running:
        yield running


class Target:
    """A file to download to; `pauses`: how long was waited between tries."""

    def __init__(self, path: Path, environ: dict[str, str] | None = None) -> None:
        self.path = path
        self.environ = environ or {}
        self.pauses: list[float] = []
        self.between: Callable[[], None] = lambda: None

    def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.between()

    def get(self, url: str, known: str | None = None, timeout: float = 5.0) -> Downloaded | None:
        patience = Patience(tries=3, pause=0.5, sleep=self._pause)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            fetcher = Fetchers(self.environ, timeout=timeout).at(url)
            return download(fetcher, Wanted("x", url, known), descriptor, SILENT, patience)
        finally:
            os.close(descriptor)

    def refused(self, url: str, timeout: float = 5.0) -> RemoteError:
        with pytest.raises(RemoteError) as caught:
            self.get(url, timeout=timeout)
        return caught.value


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target(tmp_path / "target")


def void(_: object) -> None:
    pass


def has_data(target: Target, got: Downloaded | None, data: bytes = DATA) -> bool:
    assert got is not None
    assert got[:2] == (digest_bytes(data), len(data))
    return target.path.read_bytes() == data


# failures on the way


@pytest.mark.parametrize("mishap", ["500", "502", "503", "504", "429", "408", "close", "garbage"])
def test_asks_again_when_a_server_fails(web: WebServer, target: Target, mishap: str) -> None:
    web.put("/a", DATA)
    assert has_data(target, target.get(web.fail("/a", mishap, mishap)))
    assert target.pauses == [0.5, 1.0]


@pytest.mark.parametrize("mishap", ["500", "close", "cut 0", "garbage"])
def test_gives_up_after_three_failures(web: WebServer, target: Target, mishap: str) -> None:
    web.put("/a", DATA)
    error = target.refused(web.fail("/a", *[mishap] * 3))
    assert isinstance(error, TransientError)
    assert (error.exit_code, len(web.asked)) == (4, 3)


def test_goes_on_after_a_cut_where_it_was(web: WebServer, target: Target) -> None:
    web.put("/a", DATA)
    assert has_data(target, target.get(web.fail("/a", "cut 100000", "cut 50000")))
    assert web.ranges() == [None, "bytes=100000-", "bytes=150000-"]


@pytest.mark.parametrize("page", [{"names": "weak"}, {"names": "dates"}, {"names": "nothing"}, {"ranges": False}])
def test_begins_again_where_it_cannot_go_on(web: WebServer, target: Target, page: dict[str, object]) -> None:
    web.put("/a", DATA, **page)
    assert has_data(target, target.get(web.fail("/a", "cut 100000")))


def test_begins_again_when_the_file_was_replaced_meanwhile(web: WebServer, target: Target) -> None:
    web.put("/a", DATA)
    target.between = lambda: void(web.put("/a", b"new"))
    assert has_data(target, target.get(web.fail("/a", "cut 100000")), b"new")
    assert web.ranges() == [None, "bytes=100000-"]


def test_silence_ends_a_try(web: WebServer, target: Target) -> None:
    web.put("/a", DATA)
    assert has_data(target, target.get(web.fail("/a", "stall", "stall at 1000"), timeout=0.3))
    assert web.ranges() == [None, None, "bytes=1000-"]


@pytest.mark.parametrize("mishap", ["", "cut 4000"])
def test_a_body_of_unknown_length(web: WebServer, target: Target, mishap: str) -> None:
    web.put("/a", DATA, length=False)
    web.fail("/a", mishap)
    assert has_data(target, target.get(web.url + "/a"))


def test_a_server_may_ask_for_patience(web: WebServer, target: Target) -> None:
    web.put("/a", DATA)
    url = web.fail("/a", "503 after 7", "429 after nonsense")
    assert has_data(target, target.get(url))
    assert target.pauses == [7.0, 1.0]
    web.fail("/a", "503 after 99999", "503 after Wed, 21 Oct 2015 07:28:00 GMT")
    target.get(url)
    assert target.pauses[2:] == [60.0, 1.0]


def test_nobody_listens(target: Target) -> None:
    error = target.refused(f"http://127.0.0.1:{free_port()}/a?token=hidden")
    assert "cannot be reached" in error.message
    assert "hidden" not in error.message


@pytest.mark.parametrize(("status", "hint"), [(404, "url"), (410, "url"), (401, "netrc"), (403, "netrc"), (400, None)])
def test_what_is_final_is_not_asked_again(web: WebServer, target: Target, status: int, hint: str | None) -> None:
    error = target.refused(web.fail("/a", str(status)) + "?token=hidden")
    assert f"the server answered {status}" in error.message
    assert "hidden" not in error.message + str(error.hint)
    assert (hint or "None") in str(error.hint)
    assert (len(web.asked), error.exit_code) == (1, 4)


# versions


@pytest.mark.parametrize("names", ["strong", "weak", "dates"])
def test_a_known_version_is_not_downloaded(web: WebServer, target: Target, names: str) -> None:
    url = web.put("/a", DATA, names=names)
    got = target.get(url)
    assert got is not None
    assert got.tag
    assert target.get(url, got.tag) is None
    web.put("/a", DATA + b"more", names=names)
    assert target.get(url, got.tag) is not None


def test_without_a_name_the_bytes_must_tell(web: WebServer, target: Target) -> None:
    url = web.put("/a", DATA, names="nothing")
    got = target.get(url)
    assert got is not None
    assert got.tag is None
    assert has_data(target, target.get(url, got.tag))


def test_the_request_names_gitml_and_wants_the_bytes_as_they_are(web: WebServer, target: Target) -> None:
    target.get(web.put("/a", DATA))
    (asked,) = web.asked
    assert asked.headers["user-agent"].startswith("gitml/")
    assert asked.headers["accept-encoding"] == "identity"


def test_a_url_is_spelled_for_the_wire(web: WebServer, target: Target) -> None:
    web.put("/a%20b/%C3%A4%2F", DATA)
    assert has_data(target, target.get(web.url + "/a b/ä%2F?q=ü#part"))
    assert web.asked[0].path == "/a%20b/%C3%A4%2F?q=%C3%BC"


@pytest.mark.parametrize("url", ["http://127.0.0.1:port/", f"http://{'a' * 64}.example/", "http://[::1/"])
def test_a_url_that_cannot_be_opened(target: Target, url: str) -> None:
    assert not isinstance(target.refused(url), TransientError)


# redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_follows_redirects(web: WebServer, target: Target, status: int) -> None:
    web.put("/b", DATA)
    assert has_data(target, target.get(web.fail("/a", f"{status} to ../b")))


def test_goes_on_through_redirects(web: WebServer, target: Target) -> None:
    web.put("/b", DATA)
    web.fail("/b", "cut 100000")
    web.fail("/a", "to /b", "to /b")
    assert has_data(target, target.get(web.url + "/a"))
    assert web.ranges() == [None, None, "bytes=100000-", "bytes=100000-"]


def test_a_redirect_in_a_circle_ends(web: WebServer, target: Target) -> None:
    assert "redirected more than" in target.refused(web.fail("/a", *["to /a"] * 30)).message
    assert len(web.asked) == 11


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "http://u:hidden@x/", "//["]
)
def test_a_redirect_leads_to_http_only(web: WebServer, target: Target, location: str) -> None:
    error = target.refused(web.fail("/a", f"to {location}"))
    assert "redirected to" in error.message
    assert "hidden" not in error.message


def test_a_redirect_may_not_give_up_encryption(secure: WebServer, web: WebServer, target: Target) -> None:
    web.put("/b", DATA)
    error = target.refused(secure.fail("/a", f"to {web.url}/b"))
    assert "from https to http" in error.message
    assert web.asked == []


def test_a_redirect_may_begin_encryption(secure: WebServer, web: WebServer, target: Target) -> None:
    secure.put("/b", DATA)
    assert has_data(target, target.get(web.fail("/a", f"to {secure.url}/b")))


# trust


def test_a_certificate_that_nobody_vouches_for(certificate: Path, target: Target) -> None:
    with web_server(certificate) as running:
        error = target.refused(running.put("/a", DATA))
    assert "certificate" in error.message
    assert not isinstance(error, TransientError)


@pytest.fixture
def netrc(tmp_path: Path) -> dict[str, str]:
    file = tmp_path / ".netrc"
    file.write_text("default login x password stray\nmachine 127.0.0.1 login ada password secret\n")
    file.chmod(0o600)
    return {"HOME": str(tmp_path)}


def test_a_password_goes_to_its_host_by_https(secure: WebServer, tmp_path: Path, netrc: dict[str, str]) -> None:
    target = Target(tmp_path / "target", netrc)
    assert has_data(target, target.get(secure.put("/a", DATA)))
    (asked,) = secure.asked
    assert asked.headers["authorization"] == "Basic " + base64.b64encode(b"ada:secret").decode()


def test_a_password_never_goes_in_the_clear(web: WebServer, tmp_path: Path, netrc: dict[str, str]) -> None:
    target = Target(tmp_path / "target", netrc)
    assert has_data(target, target.get(web.put("/a", DATA)))
    assert "authorization" not in web.asked[0].headers


def test_a_password_does_not_follow_a_redirect(secure: WebServer, tmp_path: Path) -> None:
    file = tmp_path / "other"
    file.write_text("machine 127.0.0.1 login ada password secret\n")
    target = Target(tmp_path / "target", {"NETRC": str(file)})
    port = secure.url.rpartition(":")[2]
    secure.put("/b", DATA)
    error = target.refused(secure.fail("/a", f"to https://localhost:{port}/b"))
    assert "certificate" in error.message  # it is of 127.0.0.1: that host has been asked, and got no request
    assert [asked.path for asked in secure.asked] == ["/a"]


def test_a_netrc_that_cannot_be_read_is_named(secure: WebServer, tmp_path: Path) -> None:
    file = tmp_path / ".netrc"
    file.write_text("machin 127.0.0.1\n")
    with pytest.raises(UsageError, match=str(file)):
        Target(tmp_path / "target", {"NETRC": str(file)}).get(secure.put("/a", DATA))


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1%eth0", "::ffff:169.254.1.1"])
def test_machine_local_addresses_are_refused(address: str) -> None:
    with pytest.raises(LinkLocalError):
        refuse_link_local(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "::1", "93.184.216.34", "example.org", ""])
def test_other_addresses_are_not(address: str) -> None:
    refuse_link_local(address)


@pytest.mark.parametrize("host", ["169.254.169.254", "metadata.example"])
def test_no_word_is_said_to_a_machine_local_address(
    web: WebServer, target: Target, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """Whatever name leads there: the connection of this test ends at a server that notes what it is asked."""
    port = int(web.url.rpartition(":")[2])

    class Local(socket.socket):
        def getpeername(self) -> tuple[str, int]:
            return "169.254.169.254", 80

    def connect(address: object, timeout: float, source: object) -> socket.socket:
        found = Local()
        found.connect(("127.0.0.1", port))
        return found

    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setenv("no_proxy", "*")
    error = target.refused(f"http://{host}/latest/meta-data/")
    assert "link-local" in error.message
    assert not isinstance(error, TransientError)
    assert web.asked == []


def test_a_proxy_of_the_environment_is_used(web: WebServer, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", web.url)
    web.put("http://data.example/a", DATA)
    assert has_data(target, target.get("http://data.example/a"))


def test_a_proxy_is_not_sent_to_a_machine_local_address(
    web: WebServer, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", web.url)
    assert "link-local" in target.refused("http://169.254.169.254/latest/").message
    assert web.asked == []


# protocols


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "local:///etc/passwd",
        "memory://a",
        "dask://a",
        "reference://a",
        "sftp://host/a",
        "ssh://host/a",
        "git://repo:path@ref",
        "simplecache://a",
        "data://,x",
        "nonsense://a",
        "oss://bucket/a",
    ],
)
def test_a_declaration_may_not_choose_any_protocol(url: str) -> None:
    with pytest.raises(RefusedProtocolError):
        Fetchers({}).at(url)


@pytest.mark.parametrize("protocol", ["memory", "dask", "reference", "local", "simplecache"])
def test_some_are_not_for_the_user_to_allow(protocol: str) -> None:
    with pytest.raises(RefusedProtocolError):
        Fetchers({"GITML_ALLOW_PROTOCOL": f"file,{protocol}"}).at(f"{protocol}://a")


def test_a_file_is_named_absolutely() -> None:
    with pytest.raises(RefusedProtocolError, match="not absolute"):
        Fetchers({"GITML_ALLOW_PROTOCOL": "file"}).at("file://data/raw.csv")


def test_a_missing_package_is_named() -> None:
    with pytest.raises(RemoteError) as caught:
        Fetchers({}).at("gs://bucket/a")
    assert caught.value.hint == "pip install gcsfs"
