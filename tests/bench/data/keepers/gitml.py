"""gitml as a keeper of data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gitml.errors import EXIT_OK, EXIT_STALE
from gitml.manifest.pointerfile import decode_pointer, pointer_path
from gitml.store.store import Store
from tests.bench.data.keeper import DATA, Holding, Link
from tests.bench.repository import NotDoneError, exit_of, git, quiet
from tests.bench.tools.gitml import Gitml

CACHE = Path(".git/gitml/cache")


class GitmlKeeper:
    """gitml, with one source."""

    name = "gitml"
    # A cache that the user has configured would hold the data already.
    environ: Mapping[str, str] = {**Gitml.environ, "XDG_CONFIG_HOME": "/nonexistent"}

    def __init__(self, tool: Gitml) -> None:
        self.program = tool.program
        self.version = tool.version

    def begin(self, folder: Path, link: Link | None) -> None:
        (folder / "gitml.toml").touch()
        if link is not None:
            quiet([self.program, "config", "cache.link", link.value], folder, self.environ)

    def add(self) -> list[str]:
        return [self.program, "add", DATA]

    def status(self) -> list[str]:
        return [self.program, "status"]

    def checkout(self) -> list[str]:
        return [self.program, "checkout"]

    def settle(self, folder: Path) -> None:
        git(folder, "add", "gitml.toml", ".gitml")
        git(folder, "commit", "-q", "-m", "add data")

    def check_added(self, folder: Path, holding: Holding) -> None:
        file = pointer_path(DATA)
        try:
            pointer = decode_pointer(file, (folder / file).read_bytes())
        except FileNotFoundError:
            raise NotDoneError(f"gitml add left no {file}") from None
        found = Holding(pointer.entry.files, pointer.entry.size)
        if found != holding:
            raise NotDoneError(f"gitml's pointer speaks of {found}, not of {holding}")
        if not Store.at(str(folder / CACHE)).holds({DATA: pointer.entry}):
            raise NotDoneError("gitml's cache does not have all that its pointer names")

    def check_status(self, folder: Path, *, changed: bool) -> None:
        wanted = EXIT_STALE if changed else EXIT_OK
        found = exit_of([self.program, "status", "--check"], folder, self.environ)
        if found != wanted:
            raise NotDoneError(f"gitml status --check exits with {found}, not with {wanted}")
