"""Execute a step: commands in order, each a process group, with retries, a time limit and a captured log."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gitml.engine.process import Finished, ProcessGroup, stop
from gitml.engine.resources import Grant
from gitml.manifest.lookup import split_name
from gitml.model.step import Command, Step
from gitml.model.value import Value, to_json

_DEFAULT_SHELL = "/bin/sh"
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Execution:
    """How the commands of a step ended. Times in seconds (`started`: since the epoch), memory in bytes."""

    code: int
    started: float
    duration: float
    cpu_seconds: float
    peak_memory: int
    attempts: int
    timed_out: bool


class Running:
    """The process groups that run now, so that a stop reaches all of them and no new one starts after it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._groups: dict[int, ProcessGroup] = {}
        self.stopping = threading.Event()

    def start(self, launch: Callable[[], ProcessGroup]) -> ProcessGroup | None:
        """Launch a group, unless the run is being stopped."""
        with self._guard:
            if self.stopping.is_set():
                return None
            group = launch()
            self._groups[group.pid] = group
            return group

    def ended(self, group: ProcessGroup) -> None:
        """Forget a group that was waited for."""
        with self._guard:
            self._groups.pop(group.pid, None)

    def groups(self) -> list[ProcessGroup]:
        """List what runs."""
        with self._guard:
            return list(self._groups.values())

    def stop(self, hurry: threading.Event) -> None:
        """End all groups (SIGINT, SIGTERM, SIGKILL) and let none start again; returns when none runs."""
        self.stopping.set()
        stop(self.groups, hurry=hurry)


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """Where and with what a step's commands run. `cwd` is absolute, `log` an open file, `inherit` descriptors."""

    cwd: str
    environ: Mapping[str, str]
    log: int
    inherit: Sequence[int]


def execute(
    step: Step, around: Surroundings, running: Running, *, between: Callable[[], None] = lambda: None
) -> Execution:
    """Run a step's commands, stopping at the first that fails, and again up to `retries` times with a pause between.

    `between` is called before each further attempt: it clears away what the failed one left.
    """
    started = time.time()
    clock = time.monotonic()
    cpu, peak, attempt, pause = 0.0, 0, 0, _FIRST_PAUSE
    while True:
        attempt += 1
        ended = _attempt(step, around, running)
        cpu += sum(finished.cpu_seconds for finished in ended)
        peak = max([peak, *(finished.peak_memory for finished in ended)])
        last = ended[-1] if ended else Finished(code=128 + signal.SIGINT, cpu_seconds=0.0, peak_memory=0)
        if last.code == 0 or attempt > step.retries or running.stopping.wait(pause):
            break
        pause = min(2 * pause, _LONGEST_PAUSE)
        between()
    return Execution(
        code=last.code,
        started=started,
        duration=time.monotonic() - clock,
        cpu_seconds=cpu,
        peak_memory=peak,
        attempts=attempt,
        timed_out=last.timed_out,
    )


def _attempt(step: Step, around: Surroundings, running: Running) -> list[Finished]:
    """Run the commands once; the time limit is for all of them together."""
    ended: list[Finished] = []
    deadline = None if step.timeout is None else time.monotonic() + step.timeout
    for command in step.commands:
        argv = argv_of(command, step.shell)
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            group = running.start(lambda argv=argv: _launch(argv, around))  # type: ignore[misc]
        except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
            os.write(around.log, f"{argv[0]}: {os.strerror(error.errno or 0)}\n".encode())
            ended.append(
                Finished(code=127 if isinstance(error, FileNotFoundError) else 126, cpu_seconds=0.0, peak_memory=0)
            )
            break
        if group is None:
            ended.append(Finished(code=128 + signal.SIGINT, cpu_seconds=0.0, peak_memory=0))
            break
        try:
            ended.append(group.wait(timeout=left))
        finally:
            running.ended(group)
        if ended[-1].code != 0 or ended[-1].timed_out:
            break
    if ended and ended[-1].timed_out and ended[-1].code == 0:
        ended[-1] = Finished(
            code=124, cpu_seconds=ended[-1].cpu_seconds, peak_memory=ended[-1].peak_memory, timed_out=True
        )
    return ended


def argv_of(command: Command, shell: str | None) -> list[str]:
    """Give the words to execute: those of the command, or a shell with its line."""
    if command.text is None:
        return list(command.argv)
    return [*(shell or _DEFAULT_SHELL).split(), "-c", command.text]


def environment(environ: Mapping[str, str], step: Step, *, params_file: str, grant: Grant | None) -> dict[str, str]:
    """Give a command's environment: all that gitml was started with, and what gitml says to the step."""
    found = {**environ, "GITML_STEP": step.id, "GITML_PARAMS": params_file}
    if grant is not None and grant.gpus:
        found["CUDA_VISIBLE_DEVICES"] = ",".join(grant.gpus)
    return found


def params_document(params: Mapping[str, Value]) -> bytes:
    """Write declared parameters as the JSON that a command reads: dotted names become tables again."""
    document: dict[str, object] = {}
    for dotted, value in params.items():
        *tables, name = split_name(dotted)
        place = document
        for table in tables:
            below = place.setdefault(table, {})
            place = below if isinstance(below, dict) else {}
        place[name] = to_json(value)
    return json.dumps(document).encode()


def _launch(argv: list[str], around: Surroundings) -> ProcessGroup:
    return ProcessGroup(argv, cwd=around.cwd, env=around.environ, log=around.log, inherit=around.inherit)
