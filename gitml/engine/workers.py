"""Threads that carry out acts and hand back what became of them."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass

from gitml.engine.act import Act, Actor
from gitml.engine.outcome import Outcome
from gitml.errors import GitmlError


@dataclass(frozen=True, slots=True)
class Done:
    """The end of an act: its outcome, or the error that stopped it."""

    act: Act
    outcome: Outcome | GitmlError | OSError


class Workers:
    """As many threads as acts were ever under way at once; an act mostly waits for a command."""

    def __init__(self, actor: Actor) -> None:
        self._actor = actor
        self._todo: queue.SimpleQueue[Act | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Done | BaseException | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._busy = 0

    def start(self, act: Act) -> None:
        """Carry out an act in the background."""
        self._busy += 1
        if self._busy > len(self._threads):
            thread = threading.Thread(target=self._work, daemon=True)
            self._threads.append(thread)
            thread.start()
        self._todo.put(act)

    @property
    def busy(self) -> int:
        """Count the acts that have not been handed back."""
        return self._busy

    def next(self, timeout: float | None) -> Done | None:
        """Wait for the next act to end, at most `timeout` seconds; None when none did or `wake` was called.

        Raises:
            BaseException: A worker met an error that is nobody's to handle: a defect.
        """
        try:
            done = self._done.get(timeout=timeout)
        except queue.Empty:
            return None
        if done is None:
            return None
        self._busy -= 1
        if isinstance(done, BaseException):
            raise done
        return done

    def wake(self) -> None:
        """Let `next` return now; may be called from a signal handler (SimpleQueue.put is reentrant)."""
        self._done.put(None)

    def dismiss(self) -> None:
        """Let idle threads end."""
        for _ in self._threads:
            self._todo.put(None)

    def _work(self) -> None:
        while (act := self._todo.get()) is not None:
            self._done.put(self._carried_out(act))

    def _carried_out(self, act: Act) -> Done | BaseException:
        try:
            return Done(act, self._actor.act(act))
        except (GitmlError, OSError) as error:
            return Done(act, error)
        except BaseException as error:  # a defect: carried to the loop's thread and raised there
            return error
