"""Download one file: hashed while it is written, gone on with after a failure, its length and digests checked."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from blake3 import blake3

from gitml.hashing.meter import Meter
from gitml.model.digest import Digest
from gitml.remote.error import RemoteError, TransientError
from gitml.remote.fetcher import Answer, Fetcher, Version
from gitml.remote.published import compare_published, new_hashers

_PROGRESS = 16 << 20
"""Bytes after which a further failure is the first again: a terabyte may outlive many connections."""


class Patience(NamedTuple):
    """How failures are met: `tries` in a row, `pause` seconds after the first and twice as long after each next."""

    tries: int = 3
    pause: float = 0.5
    sleep: Callable[[float], None] = time.sleep


class Wanted(NamedTuple):
    """What is asked of a URL; `name` is how the meter calls it.

    `known`: the tag of the version that is had already. `expected`: hex digests by algorithm that the bytes must have.
    `only`: nothing else than content of this digest and size will do.
    """

    name: str
    url: str
    known: str | None = None
    expected: Sequence[tuple[str, str]] = ()
    only: tuple[Digest, int] | None = None


class Downloaded(NamedTuple):
    """What was written."""

    digest: Digest
    size: int
    tag: str | None


class OtherContentError(RemoteError):
    """A server has something else now than what is recorded."""

    def __init__(self, url: str) -> None:
        super().__init__(url, "the server has other content now than what is recorded")


def download(fetcher: Fetcher, wanted: Wanted, target: int, meter: Meter, patience: Patience) -> Downloaded | None:
    """Write the file to an open, empty descriptor; None: the server still has the known version, nothing was written.

    Raises:
        RemoteError: It cannot be had.
        WrongDigestError: It is not what was expected; discard the target.
        OtherContentError: It is not the only content that will do; discard the target.
        OSError: It cannot be written.
    """
    intake = _Intake(target, wanted)
    version: Version | None = None
    failures, seen = 0, 0
    while True:
        try:
            with fetcher.ask(wanted.known) if version is None else fetcher.resume(version, intake.size) as answer:
                if answer is None:
                    return None
                version = answer.version
                intake.take(answer, meter)
                return Downloaded(intake.finish(), intake.size, version.tag)
        except TransientError as error:  # noqa: PERF203 - a try each time is what this loop is for
            failures = 1 if intake.size - seen >= _PROGRESS else failures + 1
            seen = intake.size
            if failures >= patience.tries:
                raise
            patience.sleep(max(patience.pause * 2 ** (failures - 1), error.after))


class _Intake:
    """What has come so far of a file."""

    def __init__(self, target: int, wanted: Wanted) -> None:
        self._target = target
        self._wanted = wanted
        self._start()

    def take(self, answer: Answer, meter: Meter) -> None:
        """Write an answer where it belongs."""
        only = self._wanted.only
        if only is not None and answer.version.size not in (None, only[1]):
            raise OtherContentError(self._wanted.url)
        if answer.start != self.size:
            os.ftruncate(self._target, 0)
            os.lseek(self._target, 0, os.SEEK_SET)
            self._start()
        meter.phase(f"downloading {self._wanted.name}", files=1, size=answer.version.size)
        meter.advance(0, self.size)
        for block in answer.blocks:
            self._write(block)
            meter.advance(0, len(block))
        size = answer.version.size
        if size is not None and self.size != size:
            raise TransientError(self._wanted.url, f"the download ended after {self.size} of {size} bytes")
        meter.advance(1, 0)

    def finish(self) -> Digest:
        """Check the digests and give the name of the content."""
        digest = Digest.from_raw(self._strong.digest())
        compare_published(self._wanted.url, digest, self._published, self._wanted.expected)
        if self._wanted.only is not None and digest != self._wanted.only[0]:
            raise OtherContentError(self._wanted.url)
        return digest

    def _start(self) -> None:
        self.size = 0
        self._strong = blake3()
        self._published: dict[str, Any] = new_hashers(name for name, _ in self._wanted.expected)

    def _write(self, block: bytes) -> None:
        self._strong.update(block)
        for hasher in self._published.values():
            hasher.update(block)
        view = memoryview(block)
        while view:
            view = view[os.write(self._target, view) :]
        self.size += len(block)
