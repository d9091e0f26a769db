"""What every fetcher promises, whatever it speaks: one suite for all."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from gitml.hashing.file import digest_bytes
from gitml.hashing.meter import SILENT
from gitml.remote.download import OtherContentError, Patience, Wanted, download
from gitml.remote.error import RemoteError, TransientError, WrongDigestError
from gitml.remote.fetcher import Answer, Fetcher
from gitml.remote.protocol import Fetchers
from tests.servers import s3_server, web_server

SMALL = b"a,b\n1,2\n"
OTHER = b"a,b\n3,4\n"
LARGE = bytes(itertools.islice(itertools.cycle(range(251)), 20_000_000))
PATIENCE = Patience(tries=3, pause=0.0)


class Place(NamedTuple):
    """Somewhere to publish one file; `put` replaces it."""

    url: str
    put: Callable[[bytes], None]
    environ: dict[str, str]

    def fetcher(self) -> Fetcher:
        return Fetchers(self.environ, timeout=10).at(self.url)


@pytest.fixture(scope="module", params=["http", "file", "s3"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    if request.param == "http":
        with web_server() as web:
            yield Place(web.url + "/raw.csv", lambda data: void(web.put("/raw.csv", data)), {})
    elif request.param == "file":
        path = tmp_path_factory.mktemp("published") / "raw data.csv"
        yield Place(path.as_uri().replace("%20", " "), replacing(path), {"GITML_ALLOW_PROTOCOL": "file"})
    else:
        with pytest.MonkeyPatch.context() as patch:
            yield from s3_place(patch)


def void(_: object) -> None:
    pass


def replacing(path: Path) -> Callable[[bytes], None]:
    """Publish by files that have another time each."""
    times = itertools.count(1_700_000_000)

    def put(data: bytes) -> None:
        path.write_bytes(data)
        now = next(times)
        os.utime(path, (now, now))

    return put


def s3_place(patch: pytest.MonkeyPatch) -> Iterator[Place]:
    import s3fs

    with s3_server() as environ:
        for name, value in environ.items():
            patch.setenv(name, value)
        files = s3fs.S3FileSystem(skip_instance_cache=True)
        files.mkdir("bucket")
        yield Place("s3://bucket/folder/raw.csv", lambda data: files.pipe_file("bucket/folder/raw.csv", data), environ)


def whole(answer: Answer | None) -> bytes:
    assert answer is not None
    return b"".join(answer.blocks)


@pytest.mark.parametrize("data", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
def test_gives_the_bytes_and_their_number(place: Place, data: bytes) -> None:
    place.put(data)
    with place.fetcher().ask(None) as answer:
        assert whole(answer) == data
    assert answer is not None
    assert (answer.start, answer.version.size) == (0, len(data))


def test_says_that_nothing_is_newer(place: Place) -> None:
    place.put(SMALL)
    with place.fetcher().ask(None) as answer:
        assert answer is not None
    assert answer.version.tag
    with place.fetcher().ask(answer.version.tag) as again:
        assert again is None


@pytest.mark.parametrize("known", ['"nonsense"', "W/", "Last-Modified: never", 'x"\r\nHost: evil.example', ""])
def test_does_not_take_another_tag_for_the_same(place: Place, known: str) -> None:
    place.put(SMALL)
    with place.fetcher().ask(known) as answer:
        assert whole(answer) == SMALL


def test_gives_what_replaced_it(place: Place) -> None:
    place.put(SMALL)
    with place.fetcher().ask(None) as answer:
        assert answer is not None
    place.put(OTHER)
    with place.fetcher().ask(answer.version.tag) as newer:
        assert whole(newer) == OTHER
    assert newer is not None
    assert newer.version.tag != answer.version.tag


def test_goes_on_where_it_was(place: Place) -> None:
    place.put(LARGE)
    with place.fetcher().ask(None) as answer:
        assert answer is not None
        next(answer.blocks)
    for start in (1, 9_000_000, len(LARGE) - 1):
        with place.fetcher().resume(answer.version, start) as rest:
            assert (rest.start, rest.version) == (start, answer.version)
            assert whole(rest) == LARGE[start:]


def test_never_joins_two_versions(place: Place) -> None:
    place.put(SMALL)
    with place.fetcher().ask(None) as answer:
        assert answer is not None
    place.put(OTHER)
    with place.fetcher().resume(answer.version, 3) as rest:
        assert rest.start == 0
        assert rest.version.tag != answer.version.tag
        assert whole(rest) == OTHER


def test_what_is_not_there_is_not_asked_for_again(place: Place) -> None:
    gone = place._replace(url=place.url + ".gone")
    with pytest.raises(RemoteError) as caught, gone.fetcher().ask(None):
        pytest.fail("there is an answer")
    assert not isinstance(caught.value, TransientError)
    assert caught.value.hint == "correct the url in the declaration"


def fetched(place: Place, folder: Path, **wanted: object) -> tuple[bytes, object]:
    target = os.open(folder / "target", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        got = download(place.fetcher(), Wanted("x", place.url, **wanted), target, SILENT, PATIENCE)  # type: ignore[arg-type]
    finally:
        os.close(target)
    return (folder / "target").read_bytes(), got


def test_a_download_is_named_by_its_digest(place: Place, tmp_path: Path) -> None:
    place.put(LARGE)
    expected = [("md5", hashlib.md5(LARGE).hexdigest()), ("sha256", hashlib.sha256(LARGE).hexdigest())]
    data, got = fetched(place, tmp_path, expected=expected, only=(digest_bytes(LARGE), len(LARGE)))
    assert data == LARGE
    assert got is not None
    assert got[:2] == (digest_bytes(LARGE), len(LARGE))  # type: ignore[index]


@pytest.mark.parametrize("algorithm", ["blake3", "sha256", "md5"])
def test_a_wrong_digest_is_told_with_the_right_one(place: Place, tmp_path: Path, algorithm: str) -> None:
    place.put(SMALL)
    found = digest_bytes(SMALL).hex if algorithm == "blake3" else hashlib.new(algorithm, SMALL).hexdigest()
    with pytest.raises(WrongDigestError, match=f"expected 00.*, found {found}"):
        fetched(place, tmp_path, expected=[(algorithm, "0" * len(found))])


@pytest.mark.parametrize("now", [OTHER, SMALL + b"more"], ids=["same size", "another size"])
def test_nothing_else_will_do_where_the_content_is_recorded(place: Place, tmp_path: Path, now: bytes) -> None:
    place.put(now)
    with pytest.raises(OtherContentError):
        fetched(place, tmp_path, only=(digest_bytes(SMALL), len(SMALL)))
