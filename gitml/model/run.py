"""One execution of a step, with its card of facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gitml.model.digest import Digest
from gitml.model.recipe import Recipe
from gitml.model.tree import Entry

SCHEMA = "gitml-run/1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What ran, from what, with what result.

    `id` sorts by start time. `snapshot` is the commit whose tree is exactly what the step ran from. Times are in
    seconds (`started`: since the epoch, UTC), `peak_memory` in bytes. `tainted` names what changed while it ran: such a
    run is never served. `failed` runs have no outputs. `log` is the digest of the captured output.
    """

    id: str
    step: str
    key: Digest
    recipe: Recipe
    outputs: Mapping[str, Entry]
    metrics: Mapping[str, object] = field(default_factory=dict)
    params: Mapping[str, object] = field(default_factory=dict)
    snapshot: str | None = None
    branch: str | None = None
    commands: tuple[str, ...] = ()
    started: float = 0.0
    duration: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory: int = 0
    exit_code: int = 0
    attempts: int = 1
    executor: str = "local"
    host: str = ""
    user: str = ""
    python: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    gpus: tuple[str, ...] = ()
    log: Digest | None = None
    labels: tuple[str, ...] = ()
    tainted: tuple[str, ...] = ()
    accepted: str | None = None

    @property
    def servable(self) -> bool:
        """Tell whether its outputs may stand for its key."""
        return self.exit_code == 0 and (not self.tainted or self.accepted is not None)
