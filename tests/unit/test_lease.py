from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gitml.store.lease import Lease, LeaseBusyError


@pytest.fixture
def lease(tmp_path: Path) -> Lease:
    return Lease(str(tmp_path / "cache"))


def token(lease: Lease) -> bytes:
    with lease.collecting(patience=0) as found:
        return found


def test_the_token_stays_while_nobody_writes(lease: Lease) -> None:
    assert token(lease) == token(lease)


def test_each_writer_changes_the_token_however_little_time_there_is(lease: Lease) -> None:
    tokens = set()
    for _ in range(200):
        with lease.writing():
            pass
        tokens.add(token(lease))
    assert len(tokens) == 200


def test_a_writer_has_changed_the_token_before_it_writes(lease: Lease, tmp_path: Path) -> None:
    before = token(lease)
    with lease.writing():
        assert (tmp_path / "cache/gc.lock").read_bytes() != before


def test_a_killed_writer_lets_go_and_has_changed_the_token(lease: Lease, tmp_path: Path) -> None:
    before = token(lease)
    script = "import os,signal,sys\nfrom gitml.store.lease import Lease\n"
    script += "with Lease(sys.argv[1]).writing():\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "cache")], check=False)
    assert done.returncode == -9
    assert token(lease) != before


def test_many_write_at_once_and_within_each_other(lease: Lease) -> None:
    with lease.writing(), lease.writing(), pytest.raises(LeaseBusyError), lease.collecting(patience=0):
        raise AssertionError
    token(lease)


def test_a_collector_waits_for_writers_as_long_as_it_has_patience(lease: Lease) -> None:
    began = time.monotonic()
    with lease.writing(), pytest.raises(LeaseBusyError), lease.collecting(patience=0.2):
        raise AssertionError
    assert 0.2 <= time.monotonic() - began < 5
    let_go = threading.Event()

    def write() -> None:
        with lease.writing():
            held.set()
            let_go.wait(10)

    held = threading.Event()
    thread = threading.Thread(target=write)
    thread.start()
    held.wait(10)
    threading.Timer(0.2, let_go.set).start()
    with lease.collecting(patience=10):
        assert let_go.is_set()
    thread.join()


def test_a_writer_waits_for_a_collector(lease: Lease) -> None:
    done = threading.Event()

    def write() -> None:
        with lease.writing():
            done.set()

    with lease.collecting(patience=0):
        thread = threading.Thread(target=write)
        thread.start()
        assert not done.wait(0.2)
    thread.join(10)
    assert done.is_set()


def test_a_forked_child_of_a_writer_keeps_the_lease(lease: Lease) -> None:
    read, write = os.pipe()
    with lease.writing():
        child = os.fork()
        if child == 0:
            os.read(read, 1)
            os._exit(0)
    with pytest.raises(LeaseBusyError), lease.collecting(patience=0):
        raise AssertionError
    os.write(write, b"x")
    os.waitpid(child, 0)
    token(lease)
    os.close(read)
    os.close(write)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_writer_on_a_full_disk_fails_before_it_begins(tmp_path: Path) -> None:
    (tmp_path / "gc.lock").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"), Lease(str(tmp_path)).writing():
        raise AssertionError
