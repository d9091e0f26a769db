"""A repository in which one keeper is measured, again and again from the start."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tests.bench.child import Sample, run
from tests.bench.data.keeper import DATA, Holding, Keeper, Link
from tests.bench.measure import Bench, retire
from tests.bench.repository import commit_all, git

_LARGE = 1 << 20


def timed(bench: Bench, argv: list[str], *, writes: bool = False) -> Sample:
    """Run one of the commands that bound every tool, in the folder of the benchmark."""
    if writes:
        os.sync()  # what was written before is not charged to this one
    return run(argv, cwd=bench.folder, environ=os.environ, limit=bench.patience.limit)


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """The repository of `keeper`; `limit`: seconds after which a command is killed (None: that of the benchmark)."""

    bench: Bench
    keeper: Keeper
    name: str
    limit: float | None = None

    @property
    def folder(self) -> Path:
        """Where the repository is."""
        return self.bench.folder / f"{self.name}-{self.keeper.name}"

    @property
    def data(self) -> Path:
        """Where the data stands in it, or will stand."""
        return self.folder / DATA

    def renew(self, link: Link | None = None) -> None:
        """Begin again with a new repository that has one commit and no data; the old one is put out of the way."""
        if self.folder.exists():
            retire(self.folder)
        self.folder.mkdir()
        git(self.folder, "init", "-q")
        self.keeper.begin(self.folder, link)
        commit_all(self.folder, "before any data")

    def put(self, data: Path) -> None:
        """Move data in."""
        data.rename(self.data)

    def take(self, target: Path) -> None:
        """Move the data out."""
        self.data.rename(target)

    def measure(self, argv: list[str], *, writes: bool = False) -> Sample:
        """Run one of the keeper's commands."""
        if writes:
            os.sync()
        environ = {**os.environ, **self.keeper.environ}
        sample = run(argv, cwd=self.folder, environ=environ, limit=self.limit or self.bench.patience.limit)
        if sample.exit_status:
            self.bench.log(f"{' '.join(argv)}: exit {sample.exit_status}: {sample.words}")
        return sample

    def add(self, holding: Holding) -> Sample:
        """Measure the adding of the data that was put here, and look whether it was done."""
        sample = self.measure(self.keeper.add(), writes=True)
        if not sample.exit_status:
            self.keeper.check_added(self.folder, holding)
        return sample

    def status(self, *, changed: bool) -> Sample:
        """Measure the telling whether the data has changed, and look whether it is told rightly."""
        sample = self.measure(self.keeper.status())
        if not sample.exit_status:
            self.keeper.check_status(self.folder, changed=changed)
        return sample

    def shed(self) -> None:
        """Delete the large objects, a handful of inodes that hold most of the disk."""
        for folder, _, names in os.walk(self.folder):
            for name in names:
                path = Path(folder, name)
                if path.lstat().st_size >= _LARGE:
                    path.unlink()
