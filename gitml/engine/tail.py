"""Follow the log of the only step that runs."""

from __future__ import annotations

from collections.abc import Mapping

from gitml.engine.act import without_secrets
from gitml.model.step import Step

_MOST = 1 << 16


class Tail:
    """Reads what logs have gained since the last look.

    Whole lines only where the step has secrets, so that one that is written in two halves is still recognised.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._paths: dict[str, str] = {}
        self._read: dict[str, int] = {}

    def began(self, step: Step, path: str) -> None:
        """A step's commands write to `path` from now on; called from the step's own thread."""
        self._paths[step.id] = path
        self._read[step.id] = 0

    def news(self, step: Step) -> bytes:
        """Give what the step has written since the last call, up to 64 KiB, without secrets."""
        path = self._paths.get(step.id)
        if path is None:
            return b""
        try:
            with open(path, "rb") as file:
                file.seek(self._read[step.id])
                data = file.read(_MOST)
        except FileNotFoundError:  # it has just ended
            return b""
        if step.secrets:
            data = data[: data.rfind(b"\n") + 1] if len(data) < _MOST else data
        self._read[step.id] += len(data)
        return without_secrets(data, step, self._environ)
