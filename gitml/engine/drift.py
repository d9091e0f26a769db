"""Packages that are installed in other versions than when a step ran: reported, never keyed."""

from __future__ import annotations

from collections.abc import Mapping

from gitml.engine.installed import installed, site_packages
from gitml.engine.world import World
from gitml.model.digest import Digest


def drifted(world: World, keys: Mapping[str, Digest]) -> dict[str, dict[str, tuple[str, str]]]:
    """For each step whose lock has a run here, give the packages that differ: (recorded, installed now or "-").

    Only distributions are compared that were there when the step ran: a new one cannot have been used.
    """
    folder = site_packages(world.environ)
    if folder is None:
        return {}
    now = installed(folder)
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for step_id, key in keys.items():
        run = next((run for run in world.store.runs.of_key(key) if run.servable), None)
        if run is not None and run.packages != now:
            differing = {n: (v, now.get(n, "-")) for n, v in run.packages.items() if now.get(n) != v}
            if differing:
                found[step_id] = differing
    return found
