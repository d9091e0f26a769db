"""One large file: adding it, by copying and by linking, and confirming it after a touch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench.child import Sample
from tests.bench.data.keeper import Holding, Keeper, Link
from tests.bench.data.material import write_file
from tests.bench.data.programs import installed
from tests.bench.data.rounds import Sampler, by_turns
from tests.bench.data.site import Site, timed
from tests.bench.data.task import B3SUM, CAT, CP, CP_SYNC, XXHSUM, Place, Task
from tests.bench.measure import Bench
from tests.bench.repository import NotDoneError
from tests.bench.result import Result


@dataclass(frozen=True, kw_only=True, slots=True)
class FilePart:
    """All keepers are given the same file, which is moved from one to the next: several of it do not fit in memory."""

    bench: Bench
    keepers: Sequence[Keeper]
    size: int

    def figures(self) -> Iterator[tuple[Place, Result]]:
        """Measure adding and status."""
        sites = {keeper.name: Site(bench=self.bench, keeper=keeper, name="file") for keeper in self.keepers}
        self._ready()
        copying: dict[str, Sampler] = {CP: self._cp, CP_SYNC: partial(self._cp, sync=True)}
        yield from by_turns(self.bench, Task.FILE_COPY, {**copying, **self._adding(sites, Link.COPY)})
        reading = self._reading({CAT: ["cat"], B3SUM: ["b3sum"]})
        yield from by_turns(self.bench, Task.FILE_LINK, {**reading, **self._adding(sites, Link.HARDLINK)})
        prepared: set[str] = set()
        touched = {name: partial(self._touch, site, prepared) for name, site in sites.items()}
        reading = self._reading({XXHSUM: ["xxhsum", "-H2"]})
        yield from by_turns(self.bench, Task.FILE_TOUCHED, {**reading, **touched}, warm_up=True)
        for site in sites.values():
            site.shed()
        self._file.unlink(missing_ok=True)

    @property
    def _file(self) -> Path:
        return self.bench.folder / "file"

    def _ready(self) -> None:
        """Have the file whole, also after a tool that was killed took it away."""
        if not self._file.exists() or self._file.stat().st_size != self.size:
            write_file(self._file, self.size)
            os.sync()

    def _reading(self, commands: dict[str, list[str]]) -> dict[str, Sampler]:
        found = installed(commands)
        return {name: partial(timed, self.bench, [*argv, str(self._file)]) for name, argv in found.items()}

    def _adding(self, sites: dict[str, Site], link: Link) -> dict[str, Sampler]:
        return {name: partial(self._add, site, link) for name, site in sites.items()}

    def _cp(self, *, sync: bool = False) -> Sample:
        copy = self.bench.folder / "copy"
        command = 'cp "$0" "$1" && sync "$1"' if sync else 'exec cp "$0" "$1"'
        sample = timed(self.bench, ["sh", "-c", command, str(self._file), str(copy)], writes=True)
        if not sample.exit_status and copy.stat().st_size != self.size:
            raise NotDoneError("cp wrote a short copy")
        copy.unlink()
        return sample

    def _add(self, site: Site, link: Link) -> Sample:
        """Add the file to a new repository, then take it out and leave nothing that shares its bytes."""
        self._ready()
        site.renew(link)
        site.put(self._file)
        try:
            sample = site.add(Holding(1, self.size))
            if not sample.exit_status and (site.data.stat().st_nlink > 1) != (link is Link.HARDLINK):
                raise NotDoneError(f"{site.keeper.name} add did not {link.value}")
        finally:
            self._retrieve(site)
            site.shed()
        return sample

    def _touch(self, site: Site, prepared: set[str]) -> Sample:
        """Touch the file in a repository that has it, and ask for the status."""
        if site.keeper.name not in prepared:
            self._prepare(site)
            prepared.add(site.keeper.name)
        site.put(self._file)
        try:
            os.utime(site.data)
            return site.status(changed=False)
        finally:
            self._retrieve(site)

    def _prepare(self, site: Site) -> None:
        self._ready()
        site.renew(Link.COPY)
        site.put(self._file)
        try:
            if site.add(Holding(1, self.size)).exit_status:
                raise NotDoneError(f"{site.keeper.name} could not add the file")
        finally:
            self._retrieve(site)

    def _retrieve(self, site: Site) -> None:
        """Take the file out again, if the tool left one."""
        if site.data.is_file() and not site.data.is_symlink():
            site.take(self._file)
            self._file.chmod(0o644)
