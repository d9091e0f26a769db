"""Lines of a status report."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gitml.model.decision import Reason
    from gitml.project.treediff import Changes


class Row(NamedTuple):
    """One step of the report.

    `state`: fresh, stale (would execute), cached (stale, but the store has its result), unknown (waits for
    `upstream`) or conflicted. `drift`: packages that changed since its run, by name, with both versions.
    """

    step: str
    state: str
    reasons: tuple[Reason, ...] = ()
    upstream: tuple[str, ...] = ()
    frozen: bool = False
    drift: Mapping[str, tuple[str, str]] = MappingProxyType({})


class SourceRow(NamedTuple):
    """One source of the report; `state`: clean, changed or missing. `changes`: None where they cannot be told."""

    path: str
    state: str
    changes: Changes | None = None
