"""Follow the log of the only step that runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from io import FileIO

from gitml.engine.redact import without_secrets
from gitml.model.step import Step

_AT_ONCE = 1 << 16
_LOOKS = 16
"""At most 1 MiB a call: a step that writes faster than a terminal shows must not keep the loop from its other work."""


class Tail:
    """Reads what logs have gained since the last look.

    Whole lines only where the step has secrets, so that one that is written in two halves is still recognised. A log is
    held open, because its name goes with the step.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._logs: dict[str, FileIO] = {}
        self._held: dict[str, bytes] = {}
        self._heard: set[str] = set()

    def began(self, step: Step, path: str) -> None:
        """A step's commands write to `path` from now on; called from the step's own thread."""
        self._logs[step.id] = FileIO(path, "r")

    def news(self, step: Step) -> Iterator[bytes]:
        """Give what the step has written since the last call, in parts and without secrets; at most 1 MiB."""
        for _ in range(_LOOKS):
            log = self._logs.get(step.id)
            part = log.read(_AT_ONCE) if log is not None else b""
            if not part:
                return
            yield from self._shown(step, part)

    def rest(self, step: Step) -> Iterator[bytes]:
        """Give all that is left of the log of a step that has ended, and close it."""
        log = self._logs.get(step.id)
        while log is not None and (part := log.read(_AT_ONCE)):
            yield from self._shown(step, part)
        held = self._held.pop(step.id, b"")
        if held:
            yield without_secrets(held, step, self._environ)
        self.ended(step)

    def was_heard(self, step: Step) -> bool:
        """Tell whether something of the step's log was given away."""
        return step.id in self._heard

    def ended(self, step: Step) -> None:
        """Close the log of a step, whatever is unread."""
        log = self._logs.pop(step.id, None)
        if log is not None:
            log.close()
        self._held.pop(step.id, None)
        self._heard.discard(step.id)

    def _shown(self, step: Step, part: bytes) -> Iterator[bytes]:
        data = self._held.pop(step.id, b"") + part
        if step.secrets:
            end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
            data, self._held[step.id] = data[:end], data[end:]
        if data:
            self._heard.add(step.id)
            yield without_secrets(data, step, self._environ)
