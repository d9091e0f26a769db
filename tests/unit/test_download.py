"""A download over any course of failures, against a fetcher in memory."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitml.hashing.file import digest_bytes
from gitml.remote import download as module
from gitml.remote.download import Patience, Wanted, download
from gitml.remote.error import TransientError
from gitml.remote.fetcher import Answer, Version

URL = "https://example.org/a"


class Turn(NamedTuple):
    """One request: what the server has then, how much of it comes, whether it goes on where it was, and the end."""

    version: int
    comes: int
    resumes: bool
    fails: bool
    tells_size: bool = True


class Scripted:
    """Answers by turns, and fails for ever after the last."""

    def __init__(self, versions: list[bytes], turns: list[Turn]) -> None:
        self.versions = versions
        self.turns = iter(turns)
        self.asked = 0
        self.complete: bytes | None = None

    @contextlib.contextmanager
    def ask(self, known: str | None) -> Iterator[Answer | None]:
        yield self._answer(None, 0)

    @contextlib.contextmanager
    def resume(self, version: Version, start: int) -> Iterator[Answer]:
        yield self._answer(version, start)

    def _answer(self, version: Version | None, start: int) -> Answer:
        self.asked += 1
        turn = next(self.turns, None)
        if turn is None:
            raise TransientError(URL, "away")
        data = self.versions[turn.version]
        now = Version(f'"{turn.version}"', len(data) if turn.tells_size else None)
        at = start if turn.resumes and version is not None and version.tag == now.tag else 0
        return Answer(now, at, self._blocks(turn, data, at))

    def _blocks(self, turn: Turn, data: bytes, at: int) -> Iterator[bytes]:
        rest = data[at:]
        sent = rest[: turn.comes] if turn.fails else rest
        for offset in range(0, len(sent), 3):
            yield sent[offset : offset + 3]
        if turn.fails and (turn.comes % 2 or not turn.tells_size):
            raise TransientError(URL, "cut short")
        if len(sent) == len(rest):
            self.complete = data


class Counting:
    """A meter that remembers what the last phase came to."""

    def __init__(self) -> None:
        self.size = 0
        self.phases = 0

    def phase(self, name: str, *, files: int | None = None, size: int | None = None) -> None:
        self.size = 0
        self.phases += 1

    def advance(self, files: int, size: int) -> None:
        self.size += size


DATA = st.binary(max_size=40)
TURN = st.builds(Turn, st.integers(0, 1), st.integers(0, 40), st.booleans(), st.booleans(), st.booleans())


@example([b"longer", b"s"], [Turn(0, 5, resumes=False, fails=True), Turn(1, 0, resumes=True, fails=False)])
@given(st.lists(DATA, min_size=2, max_size=2), st.lists(TURN, max_size=6))
def test_what_is_written_is_one_version_whole(versions: list[bytes], turns: list[Turn]) -> None:
    fetcher, meter = Scripted(versions, turns), Counting()
    expected: list[tuple[str, str]] = []
    with tempfile.TemporaryFile(buffering=0) as target:
        try:
            got = download(
                fetcher, Wanted("a", URL, expected=expected), target.fileno(), meter, Patience(3, 0.0, lambda _: None)
            )
        except TransientError:
            assert fetcher.asked == 3
            return
        assert got is not None
        assert fetcher.complete is not None
        target.seek(0)
        assert target.read() == fetcher.complete
    assert got[:2] == (digest_bytes(fetcher.complete), len(fetcher.complete))
    assert meter.size == len(fetcher.complete)


@given(DATA, st.lists(st.integers(0, 40), max_size=2))
def test_the_digests_of_publishers_go_through_cuts(data: bytes, cuts: list[int]) -> None:
    turns = [*(Turn(0, cut, resumes=True, fails=True) for cut in cuts), Turn(0, 0, resumes=True, fails=False)]
    expected = [(name, hashlib.new(name, data).hexdigest()) for name in ("md5", "sha256")]
    fetcher = Scripted([data], turns)
    with tempfile.TemporaryFile(buffering=0) as target:
        got = download(
            fetcher, Wanted("a", URL, expected=expected), target.fileno(), Counting(), Patience(3, 0.0, lambda _: None)
        )
    assert got is not None


def test_progress_renews_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large file may outlive many connections; a server that sends one byte each time may not go on for ever."""
    monkeypatch.setattr(module, "_PROGRESS", 10)
    data = bytes(range(200))
    with tempfile.TemporaryFile(buffering=0) as target:
        turns = [Turn(0, 11, resumes=True, fails=True)] * 15 + [Turn(0, 0, resumes=True, fails=False)]
        patience = Patience(3, 0.0, lambda _: None)
        got = download(Scripted([data], turns), Wanted("a", URL), target.fileno(), Counting(), patience)
        assert got is not None
        trickle = Scripted([data], [Turn(0, 1, resumes=True, fails=True)] * 1000)
        with pytest.raises(TransientError):
            download(trickle, Wanted("a", URL), target.fileno(), Counting(), patience)
        assert trickle.asked == 3
