"""Work spread over processes: what comes back, what is raised, and what is left behind."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from blake3 import blake3

from gitml.hashing.spread import Worker, spread
from gitml.hashing.threads import hash_threads

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="looks at processes through /proc")
HERE = os.getpid()


class Calls:
    """A worker made of two functions."""

    def __init__(self, one: Callable[[int], bytes], end: Callable[[], bytes] = lambda: b"") -> None:
        self._one = one
        self._end = end

    def one(self, item: int) -> bytes:
        return self._one(item)

    def end(self) -> bytes:
        return self._end()


def collected(
    items: Sequence[int], one: Callable[[int], bytes], end: Callable[[], bytes] = lambda: b"", processes: int = 3
) -> tuple[dict[int, bytes], list[bytes]]:
    results: dict[int, bytes] = {}
    ends: list[bytes] = []
    for index, data in spread(items, lambda: Calls(one, end), processes=processes):
        if index < 0:
            ends.append(data)
        else:
            results[index] = data
    return results, ends


def pid() -> bytes:
    return str(os.getpid()).encode()


def in_child() -> bool:
    return os.getpid() != HERE


@pytest.fixture(autouse=True)
def only_threads_of_the_test_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker of pytest-xdist may have a thread of its own, with which nothing here would be forked."""
    count = threading.active_count
    others = count() - 1
    monkeypatch.setattr(threading, "active_count", lambda: count() - others)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No zombie, no child, no open descriptor may be left by any test here."""
    before = set(os.listdir("/proc/self/fd"))
    yield
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert set(os.listdir("/proc/self/fd")) == before


def test_gives_each_item_once_with_its_bytes_from_several_processes() -> None:
    results, ends = collected(range(100, 200), lambda item: str(item).encode() + b" " + pid(), pid)
    assert [int(results[index].split()[0]) for index in range(100)] == list(range(100, 200))
    workers = {data.split()[1] for data in results.values()}
    assert len(workers) == 3
    assert str(HERE).encode() not in workers
    assert sorted(ends) == sorted(workers)


def test_nothing_to_do_still_ends_a_worker() -> None:
    assert collected([], lambda item: b"?", lambda: b"ended") == ({}, [b"ended"])


def test_no_more_processes_than_items() -> None:
    results, ends = collected([7, 8], lambda item: pid(), processes=16)
    assert len(set(results.values())) == len(ends) == 2


def test_a_process_with_threads_is_not_forked() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        results, _ = collected(range(8), lambda item: pid())
    finally:
        stop.set()
        thread.join()
    assert set(results.values()) == {str(HERE).encode()}


def test_messages_larger_than_any_pipe() -> None:
    results, _ = collected(range(4), lambda item: bytes([item]) * (5 << 20) + b"!")
    assert results == {index: bytes([index]) * (5 << 20) + b"!" for index in range(4)}


def test_empty_messages() -> None:
    assert collected(range(5), lambda item: b"")[0] == dict.fromkeys(range(5), b"")


class TestFailures:
    def test_an_error_is_raised_as_it_is(self) -> None:
        def one(item: int) -> bytes:
            if item == 5:
                raise FileNotFoundError(errno.ENOENT, "gone", "data/5")
            return b""

        with pytest.raises(FileNotFoundError) as caught:
            collected(range(20), one)
        assert caught.value.filename == "data/5"

    def test_an_error_comes_before_the_work_of_others_is_done(self) -> None:
        def one(item: int) -> bytes:
            if item == 1:
                raise ValueError(item)
            time.sleep(0.5)
            return b""

        began = time.monotonic()
        with pytest.raises(ValueError, match="1"):
            collected(range(20), one)
        assert time.monotonic() - began < 3

    def test_what_fails_in_a_child_alone_is_made_good(self) -> None:
        def one(item: int) -> bytes:
            if item == 5 and in_child():
                raise OSError(errno.EMFILE, "too many open files")
            return str(item).encode()

        results, _ = collected(range(20), one)
        assert results == {index: str(index).encode() for index in range(20)}

    def test_a_killed_childs_items_are_worked_on_again(self) -> None:
        def one(item: int) -> bytes:
            if item == 13 and in_child():
                os.kill(os.getpid(), signal.SIGKILL)
            return pid()

        results, ends = collected(range(20), one)
        assert sorted(results) == list(range(20))
        # Nobody has ended what the dead one's items shared, so that all of them count as not done.
        assert {int(results[index]) for index in range(1, 20, 3)} == {HERE}
        assert len(ends) == 3

    def test_a_child_that_cannot_end_has_done_nothing(self) -> None:
        def end() -> bytes:
            if in_child():
                raise OSError(errno.ENOSPC, "no space")
            return b"ended"

        results, ends = collected(range(6), lambda item: pid(), end)
        assert set(results.values()) == {str(HERE).encode()}
        assert ends == [b"ended"]

    def test_an_item_is_not_worked_on_twice_by_one_worker(self, tmp_path: Path) -> None:
        def one(item: int) -> bytes:
            if item == 4 and in_child():
                raise ValueError(item)
            if not in_child():
                (tmp_path / f"{item}").touch(exist_ok=False)
            return b""

        assert len(collected(range(8), one, processes=2)[0]) == 8
        assert sorted(int(path.name) for path in tmp_path.iterdir()) == [0, 2, 4, 6]

    def test_a_worker_that_cannot_be_made(self) -> None:
        def make() -> Worker[int]:
            raise OSError(errno.ENOSPC, "no space", "tmp")

        with pytest.raises(OSError, match="no space"):
            list(spread([1, 2, 3], make, processes=2))

    def test_where_no_process_may_be_started_it_works_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse() -> int:
            raise BlockingIOError(errno.EAGAIN, "no more processes")

        monkeypatch.setattr(os, "fork", refuse)
        results, _ = collected(range(6), lambda item: pid())
        assert set(results.values()) == {str(HERE).encode()}
        assert len(results) == 6


class TestEndings:
    def test_leaving_early_ends_the_children(self) -> None:
        def slow(item: int) -> bytes:
            time.sleep(60 if item > 5 else 0.06)
            return pid()

        began = time.monotonic()
        work = spread(range(12), lambda: Calls(slow), processes=2)
        next(work)
        work.close()
        assert time.monotonic() - began < 10

    def test_an_interrupt_between_results_ends_the_children(self) -> None:
        with pytest.raises(KeyboardInterrupt):
            for _ in spread(range(200), lambda: Calls(lambda item: time.sleep(0.06) or b""), processes=2):
                os.kill(os.getpid(), signal.SIGINT)

    def test_children_answer_no_interrupt(self) -> None:
        def one(item: int) -> bytes:
            if in_child():
                os.kill(os.getpid(), signal.SIGINT)
            return pid()

        results, _ = collected(range(6), one, processes=2)
        assert str(HERE).encode() not in results.values()

    def test_children_end_when_their_parent_was_killed(self, tmp_path: Path) -> None:
        program = f"""
import os, time
from gitml.hashing.spread import spread

class Slow:
    def one(self, item):
        open({str(tmp_path)!r} + f"/{{os.getpid()}}", "a").close()
        time.sleep(0.05)
        return b""
    def end(self):
        return b""

for _ in spread(range(10000), Slow, processes=2):
    print("going", flush=True)
"""
        started = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        assert started.stdout is not None
        started.stdout.readline()
        started.kill()
        started.wait()
        started.stdout.close()
        children = [int(path.name) for path in tmp_path.iterdir()]
        assert len(children) == 2
        deadline = time.monotonic() + 10
        while any(alive(child) for child in children):
            assert time.monotonic() < deadline, "children outlived their parent"
            time.sleep(0.02)

    def test_output_is_not_written_twice(self) -> None:
        program = """
import sys
from gitml.hashing.spread import spread

class Work:
    def one(self, item):
        return b""
    def end(self):
        return b""

sys.stdout.write("once")
for _ in spread([1, 2, 3], Work, processes=3):
    pass
"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
        assert (done.stdout, done.stderr) == (b"once", b"")

    def test_works_where_ended_children_are_ignored(self) -> None:
        program = """
import signal
from gitml.hashing.spread import spread

class Work:
    def one(self, item):
        return str(item).encode()
    def end(self):
        return b""

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print(len(dict(spread(range(50), Work, processes=2))))
"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
        assert (done.stdout, done.stderr) == (b"51\n", b"")

    def test_a_child_does_not_keep_the_pipes_of_others_open(self) -> None:
        def open_ends(item: int) -> bytes:
            pipes = [os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if alink(name)]
            return str(sum(pipe.startswith("pipe:") for pipe in pipes)).encode()

        here = sum(
            os.readlink(f"/proc/self/fd/{n}").startswith("pipe:") for n in os.listdir("/proc/self/fd") if alink(n)
        )
        results, _ = collected(range(3), open_ends)
        assert set(results.values()) == {str(here + 1).encode()}


def test_a_child_hashes_large_data_after_its_parent_did() -> None:
    data = bytes(range(256)) * (64 << 10)
    expected = blake3(data, max_threads=hash_threads()).digest()

    def one(item: int) -> bytes:
        signal.alarm(20)
        return blake3(data, max_threads=hash_threads()).digest()

    results, _ = collected(range(2), one, processes=2)
    signal.alarm(0)
    assert set(results.values()) == {expected}
    assert hash_threads() == blake3.AUTO


def alink(name: str) -> bool:
    """Tell whether a descriptor is open: the one that lists them is closed by then."""
    with contextlib.suppress(FileNotFoundError):
        os.readlink(f"/proc/self/fd/{name}")
        return True
    return False


def alive(child: int) -> bool:
    """Tell whether a process runs; one that only waits to be reaped does not."""
    try:
        state = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"
