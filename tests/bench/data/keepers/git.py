"""Git itself as a keeper of data: every file in its own object database, compressed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.bench.data.keeper import DATA, Holding, Link
from tests.bench.repository import NotDoneError, git, quiet, tracked


class GitKeeper:
    """Git with `feature.manyFiles`, its untracked cache on and warm, and no collection of garbage in the background."""

    name = "git"
    environ: Mapping[str, str] = {}

    def version(self) -> str:
        return quiet(["git", "--version"], Path(), {}).strip().removeprefix("git version ")

    def begin(self, folder: Path, link: Link | None) -> None:
        git(folder, "config", "feature.manyFiles", "true")
        git(folder, "config", "gc.auto", "0")

    def add(self) -> list[str]:
        return ["git", "add", DATA]

    def status(self) -> list[str]:
        return ["git", "status"]

    def settle(self, folder: Path) -> None:
        git(folder, "commit", "-q", "-m", "add data")
        git(folder, "update-index", "--untracked-cache")

    def check_added(self, folder: Path, holding: Holding) -> None:
        if tracked(folder, DATA) != holding.files:
            raise NotDoneError(f"git tracks {tracked(folder, DATA)} files, not {holding.files}")

    def check_status(self, folder: Path, *, changed: bool) -> None:
        if bool(quiet(["git", "status", "--porcelain"], folder, {})) != changed:
            raise NotDoneError(f"git status sees {'no' if changed else 'a'} change")
