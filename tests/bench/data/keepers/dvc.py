"""DVC as a keeper of data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tests.bench.data.keeper import DATA, Holding, Link
from tests.bench.repository import NotDoneError, exit_of, git, quiet
from tests.bench.tools.dvc import Dvc


class DvcKeeper:
    """DVC, with one `.dvc` file."""

    name = "dvc"
    environ: Mapping[str, str] = Dvc.environ

    def __init__(self, tool: Dvc) -> None:
        self.tool = tool
        self.program = tool.toolbox.program("dvc")
        self.version = tool.version

    def begin(self, folder: Path, link: Link | None) -> None:
        self.tool.init(folder)
        if link is not None:
            quiet([self.program, "config", "cache.type", link.value], folder, self.environ)

    def add(self) -> list[str]:
        return [self.program, "add", DATA]

    def status(self) -> list[str]:
        return [self.program, "status"]

    def settle(self, folder: Path) -> None:
        git(folder, "add", ".dvc", ".gitignore", f"{DATA}.dvc")
        git(folder, "commit", "-q", "-m", "add data")

    def check_added(self, folder: Path, holding: Holding) -> None:
        try:
            text = (folder / f"{DATA}.dvc").read_text(encoding="utf-8")
        except FileNotFoundError:
            raise NotDoneError(f"dvc add left no {DATA}.dvc") from None
        numbers = {name: int(number) for name, number in re.findall(r"^\s*(size|nfiles): (\d+)$", text, re.MULTILINE)}
        found = Holding(numbers.get("nfiles", 1), numbers.get("size", -1))
        if found != holding:
            raise NotDoneError(f"{DATA}.dvc speaks of {found}, not of {holding}")

    def check_status(self, folder: Path, *, changed: bool) -> None:
        found = exit_of([self.program, "status", "--quiet"], folder, self.environ)
        if found != int(changed):
            raise NotDoneError(f"dvc status --quiet exits with {found}, not with {int(changed)}")
