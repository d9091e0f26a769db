"""The data part of the benchmark as a whole."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.data.cachepart import CachePart
from tests.bench.data.filepart import FilePart
from tests.bench.data.folderpart import FolderPart
from tests.bench.data.keeper import Keeper
from tests.bench.data.keepers.annex import AnnexKeeper
from tests.bench.data.keepers.dvc import DvcKeeper
from tests.bench.data.keepers.git import GitKeeper
from tests.bench.data.keepers.gitml import GitmlKeeper
from tests.bench.data.manypart import ManyPart
from tests.bench.data.sizes import Sizes
from tests.bench.data.task import Place
from tests.bench.measure import Bench
from tests.bench.result import Result
from tests.bench.toolbox import Toolbox
from tests.bench.tools.dvc import Dvc
from tests.bench.tools.gitml import Gitml

KEEPERS = ("gitml", "dvc", "git", "git-annex")


@dataclass(frozen=True, kw_only=True, slots=True)
class DataRun:
    """What to measure: the keepers, gitml first; git-annex is given `annex_limit` seconds for each command."""

    bench: Bench
    keepers: Sequence[Keeper]
    sizes: Sizes
    annex_limit: float

    def figures(self) -> dict[Place, Result]:
        """Measure everything that these keepers can show."""
        found: dict[Place, Result] = {}
        named = {keeper.name: keeper for keeper in self.keepers}
        file = [named[name] for name in ("gitml", "dvc") if name in named]
        found.update(FilePart(bench=self.bench, keepers=file, size=self.sizes.file).figures())
        folder = FolderPart(
            bench=self.bench,
            keepers=[named[name] for name in ("gitml", "dvc", "git") if name in named],
            files=self.sizes.files,
            annex=named.get("git-annex"),
            annex_limit=self.annex_limit,
        )
        found.update(folder.figures())
        ours = named.get("gitml")
        if isinstance(ours, GitmlKeeper):
            found.update(ManyPart(bench=self.bench, keeper=ours, files=self.sizes.many).figures())
            found.update(CachePart(bench=self.bench, keeper=ours, objects=self.sizes.files).figures())
        return found


def keepers(names: Sequence[str], toolbox: Toolbox) -> list[Keeper]:
    """Give the keepers of these names; git-annex only where it is installed."""
    found: list[Keeper] = []
    if "gitml" in names:
        found.append(GitmlKeeper(Gitml()))
    if "dvc" in names:
        found.append(DvcKeeper(Dvc(toolbox)))
    if "git" in names:
        found.append(GitKeeper())
    if "git-annex" in names and shutil.which("git-annex"):
        found.append(AnnexKeeper())
    return found
