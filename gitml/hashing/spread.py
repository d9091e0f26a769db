"""Spread work over processes: reading and writing 100,000 small files is bound by the interpreter, not by the disk.

Threads do not help there (measured: the stat of 100,000 files takes 0.23 s in one thread, 0.27 s in two, 0.13 s in two
processes). A fork costs 2 ms and starts with all that is loaded; it is only done while the process has one thread,
since a lock that another thread holds would stay locked in the child for ever. BLAKE3's own threads hold none while
they wait, and a child hashes without them (`gitml.hashing.threads`).

A child ends when its parent does: it looks for it before each item, and a pipe that nobody reads is an error. It holds
what the parent held when it was forked, the lease of the cache among it, so that what it writes until then is safe.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import struct
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

Item = TypeVar("Item", contravariant=True)
_T = TypeVar("_T")
_FRAME = struct.Struct("=iI")
_END = -1
_FAILED = -2
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM)
_LATEST = 0.05
"""Seconds after which results are sent, small as they may be, so that progress is seen."""
_LONGEST_WAIT = 0.2


class Worker(Protocol[Item]):
    """Works on items one by one, in a process that it does not choose; what it gives back is bytes (below 4 GiB)."""

    def one(self, item: Item) -> bytes:
        """Work on one item; called again for the same item, in the first process, when a child did not finish."""

    def end(self) -> bytes:
        """Finish what the items of this process share (a pack that is being written)."""


def usable_cpus() -> int:
    """Count the CPUs that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def spread(
    items: Sequence[_T], worker: Callable[[], Worker[_T]], *, processes: int
) -> Generator[tuple[int, bytes], None, None]:
    """Work on all items; gives `(index of the item, its bytes)` as they are done, and `(-1, bytes)` of each `end`.

    `worker` is called once in each process that works. An item whose work fails in a child is worked on again in this
    process, at once, so that errors are raised here, as they are. When a child does not come to its `end`, all its
    items are worked on again, since what they share is lost: their indices may be given twice, and the later bytes
    count. Closing the generator ends the children: use `contextlib.closing` where the loop over it may be left.
    """
    processes = min(processes, len(items))
    if processes < 2 or threading.active_count() > 1:
        yield from _Own(items, worker).work(range(len(items)))
        return
    own = _Own(items, worker)
    undone: list[int] = []
    children: list[_Child] = []
    finished = False
    try:
        for start in range(processes):
            share = range(start, len(items), processes)
            try:
                with _uninterrupted():
                    children.append(_Child(items, share, worker, others=[other.descriptor for other in children]))
            except BlockingIOError:  # no more processes are allowed here
                undone.extend(share)
        yield from _messages(children, own)
        for child in children:
            undone.extend(child.undone())
        finished = True
    finally:
        with _uninterrupted():
            for child in children:
                child.leave(kill=not finished)
    if undone or own.started:
        yield from own.work(undone)


class _Own:
    """Work in this process; the worker is made when the first item needs it."""

    def __init__(self, items: Sequence[_T], worker: Callable[[], Worker[_T]]) -> None:
        self._items = items
        self._make = worker
        self._worker: Worker[_T] | None = None
        self._done: set[int] = set()

    @property
    def started(self) -> bool:
        return self._worker is not None

    def one(self, index: int) -> tuple[int, bytes]:
        if self._worker is None:
            self._worker = self._make()
        result = self._worker.one(self._items[index])
        self._done.add(index)
        return index, result

    def work(self, indices: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """Work on what was not done here before, and end."""
        for index in indices:
            if index not in self._done:
                yield self.one(index)
        if self._worker is None:
            self._worker = self._make()
        yield _END, self._worker.end()


class _Child:
    """A forked process that works on its share and sends framed bytes: index (or -1, -2), length, bytes.

    It is made, and left, while interrupts are held back.

    `others`: descriptors of the pipes of children before it, which it must not keep open: a pipe whose reader died is
    told to its writer only when nobody else could read it.
    """

    def __init__(
        self, items: Sequence[_T], indices: Sequence[int], worker: Callable[[], Worker[_T]], *, others: Sequence[int]
    ) -> None:
        self._indices = indices
        self._done: set[int] = set()
        self._ended = False
        self._buffer = bytearray()
        parent = os.getpid()
        self.descriptor, write = os.pipe()
        try:
            self._pid = _fork()
        except BaseException:
            os.close(self.descriptor)
            os.close(write)
            raise
        if self._pid == 0:
            with _exiting():
                _leave_interrupts_to_parent()
                for descriptor in (self.descriptor, *others):
                    os.close(descriptor)
                _work(items, indices, worker, write, parent)
        os.close(write)
        os.set_blocking(self.descriptor, False)

    def leave(self, *, kill: bool) -> None:
        """Let go of it; unless it is killed it has ended, or is about to."""
        os.close(self.descriptor)
        if kill:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):  # where SIGCHLD is ignored, the system has reaped it
            os.waitpid(self._pid, 0)

    def receive(self) -> tuple[bool, list[tuple[int, bytes]]]:
        """Read what has come; tells whether more may come."""
        data = os.read(self.descriptor, 1 << 20)
        self._buffer += data
        found, at = [], 0
        while at + _FRAME.size <= len(self._buffer):
            index, length = _FRAME.unpack_from(self._buffer, at)
            end = at + _FRAME.size + length
            if end > len(self._buffer):
                break
            found.append((index, bytes(self._buffer[at + _FRAME.size : end])))
            at = end
            self._ended = self._ended or index == _END
            self._done.add(index)
        del self._buffer[:at]
        return bool(data), found

    def undone(self) -> list[int]:
        """Name the items to work on again: all of them when what they share was not finished."""
        return [index for index in self._indices if not self._ended or index not in self._done]


def _fork() -> int:
    with warnings.catch_warnings():
        # Python counts BLAKE3's threads too, which the child does without.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _leave_interrupts_to_parent() -> None:
    """Take back what the parent had prepared for interrupts; they reach the whole group, and it ends its children."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold interrupts back for a moment in which one would leave a child behind, or be answered by it.

    The handlers are exchanged; a mask would hold for this thread alone, and BLAKE3's take signals too.
    """
    came: list[int] = []

    def remember(number: int, frame: object) -> None:
        came.append(number)

    usual = {number: signal.getsignal(number) for number in _INTERRUPTS}
    held = {number: handler for number, handler in usual.items() if callable(handler)}
    for number in held:
        signal.signal(number, remember)
    try:
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
        for caught in came:
            signal.raise_signal(caught)


@contextlib.contextmanager
def _exiting() -> Iterator[None]:
    """End the process with the block, also when it fails: the parent does the rest then, and meets the failure.

    `os._exit` runs nothing that the parent has prepared for its own end: no handler, and no second flush of its output.
    """
    try:
        yield
    finally:
        os._exit(0)


def _work(
    items: Sequence[_T], indices: Sequence[int], worker: Callable[[], Worker[_T]], write: int, parent: int
) -> None:
    """Work on a share in a child, and send what comes of it while the parent lives."""
    with open(write, "wb", buffering=1 << 16) as pipe:
        mine = worker()
        sent = time.monotonic()
        for index in indices:
            if os.getppid() != parent:
                return
            try:
                result = mine.one(items[index])
            except BaseException:
                _send(pipe.write, _FAILED, _FRAME.pack(index, 0))
                raise
            _send(pipe.write, index, result)
            if time.monotonic() - sent > _LATEST:
                pipe.flush()
                sent = time.monotonic()
        _send(pipe.write, _END, mine.end())


def _send(write: Callable[[bytes], object], index: int, data: bytes) -> None:
    write(_FRAME.pack(index, len(data)))
    write(data)


def _messages(children: Sequence[_Child], own: _Own) -> Iterator[tuple[int, bytes]]:
    with selectors.DefaultSelector() as selector:
        for child in children:
            selector.register(child.descriptor, selectors.EVENT_READ, child)
        while selector.get_map():
            # Not for ever: an interrupt that another thread took does not end the wait, and is answered after it.
            for key, _ in selector.select(_LONGEST_WAIT):
                more, found = key.data.receive()
                for index, data in found:
                    yield own.one(_FRAME.unpack(data)[0]) if index == _FAILED else (index, data)
                if not more:
                    selector.unregister(key.fd)
