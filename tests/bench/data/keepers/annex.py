"""git-annex as a keeper of data: files become symlinks into `.git/annex/objects`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.bench.data.keeper import DATA, Holding, Link
from tests.bench.repository import WHO, NotDoneError, git, quiet, tracked


class AnnexKeeper:
    """git-annex with locked files, as it is by itself."""

    name = "git-annex"
    environ: Mapping[str, str] = WHO

    def version(self) -> str:
        first = quiet(["git", "annex", "version"], Path(), {}).splitlines()[0]
        return first.removeprefix("git-annex version: ")

    def begin(self, folder: Path, link: Link | None) -> None:
        git(folder, "config", "gc.auto", "0")
        git(folder, "annex", "init", "--quiet", "bench")

    def add(self) -> list[str]:
        return ["git", "annex", "add", "--quiet", DATA]

    def status(self) -> list[str]:
        return ["git", "annex", "status"]

    def settle(self, folder: Path) -> None:
        git(folder, "commit", "-q", "-m", "add data")

    def check_added(self, folder: Path, holding: Holding) -> None:
        if tracked(folder, DATA) != holding.files:
            raise NotDoneError(f"git tracks {tracked(folder, DATA)} files, not {holding.files}")
        if not next(path for path in (folder / DATA).rglob("*") if not path.is_dir()).is_symlink():
            raise NotDoneError("git annex add left files in the worktree")

    def check_status(self, folder: Path, *, changed: bool) -> None:
        if bool(quiet(self.status(), folder, self.environ)) != changed:
            raise NotDoneError(f"git annex status sees {'no' if changed else 'a'} change")
