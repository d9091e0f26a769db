"""A million tiny files: the time and the memory of a status that finds nothing changed."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from tests.bench.data.keeper import Holding
from tests.bench.data.keepers.gitml import GitmlKeeper
from tests.bench.data.material import TINY, write_folder
from tests.bench.data.memory import run_watched
from tests.bench.data.rounds import by_turns
from tests.bench.data.site import Site, timed
from tests.bench.data.task import FIND, Place, Task
from tests.bench.measure import Bench
from tests.bench.result import Result


@dataclass(frozen=True, kw_only=True, slots=True)
class ManyPart:
    """gitml alone, beside `find`: the others take minutes to hours here."""

    bench: Bench
    keeper: GitmlKeeper
    files: int

    def figures(self) -> Iterator[tuple[Place, Result]]:
        """Measure one adding, and status."""
        site = Site(bench=self.bench, keeper=self.keeper, name="many")
        site.renew()
        self.bench.log(f"writing {self.files} files")
        holding = Holding(self.files, write_folder(site.data, self.files, TINY))
        once = dataclasses.replace(self.bench, patience=dataclasses.replace(self.bench.patience, count=1))
        added = dict(by_turns(once, Task.MANY_ADD, {"gitml": partial(site.add, holding)}))
        yield from added.items()
        if any(result.seconds is None for result in added.values()):
            return
        self.keeper.settle(site.folder)
        asking = {
            FIND: partial(timed, self.bench, ["find", str(site.data), "-printf", "%s %T@\n"]),
            "gitml": partial(site.status, changed=False),
        }
        for place, result in by_turns(self.bench, Task.MANY_NOOP, asking, warm_up=True):
            yield place, self._with_memory(site, result) if place.name == "gitml" else result

    def _with_memory(self, site: Site, result: Result) -> Result:
        """Put in the memory of all processes together, for that of the largest."""
        if result.seconds is None:
            return result
        sample, peak = run_watched(
            self.keeper.status(),
            cwd=site.folder,
            environ={**os.environ, **self.keeper.environ},
            limit=self.bench.patience.limit,
        )
        if sample.exit_status:
            return Result(failure=f"failed, exit {sample.exit_status}")
        self.bench.log(f"many, status, peak of all processes: {peak / 1e6:.0f} MB")
        return dataclasses.replace(result, peak=peak)
