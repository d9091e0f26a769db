"""A folder of many small files: adding it, asking for its status, and writing it out again."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.bench.child import Sample
from tests.bench.data.keeper import Holding, Keeper
from tests.bench.data.keepers.gitml import GitmlKeeper
from tests.bench.data.material import PER_FOLDER, SMALL, count_files, edit, write_file, write_folder
from tests.bench.data.rounds import Sampler, by_turns
from tests.bench.data.site import Site, timed
from tests.bench.data.task import CP_R, FIND, START_UP, Place, Task
from tests.bench.measure import Bench
from tests.bench.repository import NotDoneError, quiet
from tests.bench.result import Result


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderPart:
    """Every keeper has a folder of its own, all alike. `annex` is measured last and once, killed after its limit."""

    bench: Bench
    keepers: Sequence[Keeper]
    files: int
    annex: Keeper | None = None
    annex_limit: float = 0
    _serial: Iterator[int] = field(default_factory=itertools.count)

    def figures(self) -> Iterator[tuple[Place, Result]]:
        """Measure adding, status, status after an edit, and checkout."""
        sites = {keeper.name: Site(bench=self.bench, keeper=keeper, name="folder") for keeper in self.keepers}
        holding = self._write(self._tree)
        for name in sites:
            self._write(self._parked(name))
        adding = {name: partial(self._add, site, holding) for name, site in sites.items()}
        added = dict(by_turns(self.bench, Task.FOLDER_ADD, adding))
        yield from added.items()
        sites = {name: site for name, site in sites.items() if added[Place(Task.FOLDER_ADD, name)].seconds is not None}
        for site in sites.values():
            site.keeper.settle(site.folder)
        yield from self._statuses(sites)
        if "gitml" in sites:
            yield from self._checkout(sites["gitml"])
        if self.annex:
            yield from self._annex(self.annex, holding)

    @property
    def _tree(self) -> Path:
        return self.bench.folder / "tree"

    def _parked(self, name: str) -> Path:
        return self.bench.folder / f"tree-{name}"

    def _write(self, path: Path) -> Holding:
        self.bench.log(f"writing {self.files} files")
        return Holding(self.files, write_folder(path, self.files, SMALL))

    def _add(self, site: Site, holding: Holding) -> Sample:
        """Add a site's own folder to a new repository, and leave it there."""
        parked = self._parked(site.keeper.name)
        if site.data.exists():
            site.take(parked)
        site.renew()
        site.put(parked)
        return site.add(holding)

    def _statuses(self, sites: dict[str, Site]) -> Iterator[tuple[Place, Result]]:
        find: dict[str, Sampler] = {FIND: partial(timed, self.bench, ["find", str(self._tree), "-printf", "%s %T@\n"])}
        every = dict(sites)
        if "gitml" in sites:
            every[START_UP] = self._one_file(sites["gitml"].keeper)
        asking = {name: partial(site.status, changed=False) for name, site in every.items()}
        yield from by_turns(self.bench, Task.FOLDER_NOOP, {**find, **asking}, warm_up=True)
        edited = {name: partial(_edited, site) for name, site in every.items()}
        yield from by_turns(self.bench, Task.FOLDER_EDITED, {**find, **edited}, warm_up=True)

    def _one_file(self, keeper: Keeper) -> Site:
        """Give a repository with one small file: what its status takes, every status takes."""
        site = Site(bench=self.bench, keeper=keeper, name="one-file")
        site.renew()
        write_file(site.data, SMALL[1])
        site.add(Holding(1, SMALL[1]))
        keeper.settle(site.folder)
        return site

    def _checkout(self, site: Site) -> Iterator[tuple[Place, Result]]:
        assert isinstance(site.keeper, GitmlKeeper)
        site.take(self._aside())
        writing: dict[str, Sampler] = {CP_R: self._cp, "gitml": partial(self._check_out, site, site.keeper.checkout())}
        yield from by_turns(self.bench, Task.FOLDER_CHECKOUT, writing)

    def _cp(self) -> Sample:
        copy = self._aside()
        sample = timed(self.bench, ["cp", "-r", str(self._tree), str(copy)], writes=True)
        self._compare(copy)
        return sample

    def _check_out(self, site: Site, argv: list[str]) -> Sample:
        if site.data.exists():
            site.take(self._aside())
        sample = site.measure(argv, writes=True)
        if not sample.exit_status:
            self._compare(site.data)
            site.keeper.check_status(site.folder, changed=False)
        return sample

    def _aside(self) -> Path:
        """Name a place for a tree that is not needed any more; it is deleted with all others at the very end."""
        return self.bench.folder / f"aside-{next(self._serial)}"

    def _compare(self, copy: Path) -> None:
        """Look whether all files are there, and whether those of the last folder have the right bytes."""
        if count_files(copy) != self.files:
            raise NotDoneError(f"{copy} has {count_files(copy)} files, not {self.files}")
        last = f"{(self.files - 1) // PER_FOLDER:04}"
        for path in sorted((self._tree / last).iterdir()):
            if (copy / last / path.name).read_bytes() != path.read_bytes():
                raise NotDoneError(f"{copy / last / path.name} has other bytes than were added")

    def _annex(self, keeper: Keeper, holding: Holding) -> Iterator[tuple[Place, Result]]:
        """Measure git-annex once, for information: it takes minutes."""
        once = dataclasses.replace(self.bench, patience=dataclasses.replace(self.bench.patience, count=1))
        self._write(self._parked(keeper.name))
        site = Site(bench=once, keeper=keeper, name="folder", limit=self.annex_limit)
        added = dict(by_turns(once, Task.FOLDER_ADD, {keeper.name: partial(self._add, site, holding)}))
        yield from added.items()
        if all(result.seconds is not None for result in added.values()):
            keeper.settle(site.folder)
            asking = {keeper.name: partial(site.status, changed=False)}
            yield from by_turns(once, Task.FOLDER_NOOP, asking)
        quiet(["chmod", "-R", "u+w", "."], site.folder, {})  # it protects its folders from deletion


def _edited(site: Site) -> Sample:
    """Edit the first file, and ask for the status."""
    edit(site.data / "0000" / "0000" if site.data.is_dir() else site.data)
    return site.status(changed=True)
