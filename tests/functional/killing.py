"""A server that runs `gitml` with a fault at its N-th change of the file system.

Each job is a fork of a process that has gitml imported already: a hundred jobs cost seconds, not minutes. Changes are
counted in the calls that gitml makes through `os` and `open`; a fault comes before the change it is named by, so that
fault N leaves the changes up to N - 1.
"""

from __future__ import annotations

import builtins
import errno
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

_CHANGES = (
    "rename",
    "replace",
    "unlink",
    "remove",
    "rmdir",
    "mkdir",
    "symlink",
    "link",
    "write",
    "pwrite",
    "ftruncate",
    "truncate",
)
_NEED_SPACE = ("mkdir", "symlink", "link", "write", "pwrite", "open")
FAULTS = ("none", "kill", "EIO", "ENOSPC")
"""`kill` and `EIO` strike once; `ENOSPC` strikes every change from N on that needs space."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """How a job ended: `code` as `subprocess` gives it, `changes`: how many there were (0 when it was killed)."""

    code: int
    changes: int
    shown: str


class FaultServer:
    """Forks jobs; used as a context."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> FaultServer:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.functional.killing"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()

    def run(self, cwd: Path, *args: str, environ: Mapping[str, str], fault: str = "none", at: int = 0) -> Ended:
        """Run `gitml` once."""
        assert self._process.stdin is not None and self._process.stdout is not None
        shown, count = self._folder / "shown", self._folder / "count"
        count.unlink(missing_ok=True)
        job = {"cwd": str(cwd), "args": args, "environ": dict(environ), "fault": fault, "at": at}
        self._process.stdin.write(json.dumps({**job, "shown": str(shown), "count": str(count)}) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        changes = int(count.read_text()) if count.exists() else 0
        return Ended(code=code, changes=changes, shown=shown.read_text(errors="replace"))


class Faults:
    """Counts changes and strikes at the N-th."""

    def __init__(self, fault: str, at: int) -> None:
        self._fault = fault
        self._at = at
        self._guard = threading.Lock()
        self.count = 0

    def before(self, change: str, subject: object) -> None:
        """Count a change that is about to be made, and strike if it is its turn."""
        with self._guard:
            self.count += 1
            number = self.count
        if self._fault == "kill" and number == self._at:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._fault == "EIO" and number == self._at:
            raise OSError(errno.EIO, os.strerror(errno.EIO), _name(subject))
        if self._fault == "ENOSPC" and number >= self._at > 0 and change in _NEED_SPACE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), _name(subject))

    def install(self) -> None:
        """Put the counting in front of every call that changes the file system."""
        for name in _CHANGES:
            setattr(os, name, self._counted(name, getattr(os, name)))
        os_open, file_open = os.open, builtins.open

        def counted_os_open(path: Any, flags: int, *rest: Any, **named: Any) -> int:
            if flags & (os.O_CREAT | os.O_TRUNC):
                self.before("open", path)
            return os_open(path, flags, *rest, **named)

        def counted_open(file: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
            if not set(mode) & set("wax+"):
                return file_open(file, mode, *rest, **named)
            if not isinstance(file, int):
                self.before("open", file)
            return CountedFile(file_open(file, mode, *rest, **named), self)

        os.open, builtins.open = counted_os_open, counted_open  # type: ignore[assignment]

    def _counted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **named: Any) -> Any:
            if not (name == "write" and args[0] in (1, 2)):
                self.before(name, args[0])
            return real(*args, **named)

        return counted


class CountedFile:
    """A file whose writes are changes."""

    def __init__(self, file: IO[Any], faults: Faults) -> None:
        self._file = file
        self._faults = faults

    def __enter__(self) -> CountedFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, data: Any) -> int:
        """Write, as a change."""
        self._faults.before("write", self._file.name)
        return self._file.write(data)


def _name(subject: object) -> object:
    return subject if isinstance(subject, (str, bytes)) else None


def _serve() -> None:
    import gitml.cli.main
    import gitml.cli.repro  # noqa: F401 - loaded once for all forks

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _job(json.loads(line))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _job(job: dict[str, Any]) -> None:
    from gitml.cli.main import run

    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["environ"])
    shown = os.open(job["shown"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for number in (1, 2):
        os.dup2(shown, number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    faults = Faults(job["fault"], job["at"])
    count = job["count"]
    write_count = Path.write_text
    faults.install()
    code = 70
    try:
        code = run(job["args"])
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        faults._fault = "none"
        sys.stdout.flush()
        sys.stderr.flush()
        number = faults.count
        write_count(Path(count), str(number))
        os._exit(code)


if __name__ == "__main__":
    _serve()
