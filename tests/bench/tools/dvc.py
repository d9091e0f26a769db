"""DVC, with analytics and the check for updates off."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.bench.load import Load
from tests.bench.repository import quiet
from tests.bench.toolbox import Toolbox


class Dvc:
    """DVC, with one stage for each step."""

    name = "dvc"
    in_git = True
    environ: Mapping[str, str] = {"DVC_NO_ANALYTICS": "1"}

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    def version(self) -> str:
        return self.toolbox.version_of("dvc")

    def setup(self, folder: Path, load: Load) -> None:
        lines = ["stages:"]
        for step in range(load.steps):
            lines += [f"  s{step}:", f"    cmd: {load.command(step)}", "    deps:"]
            lines += [f"    - {path}" for path in load.inputs(step)]
            lines += ["    outs:", f"    - {load.output(step)}"]
        (folder / "dvc.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.init(folder)

    def init(self, folder: Path) -> None:
        """Set DVC up in a Git repository: no telemetry, and all that it notes is noted in the repository itself."""
        dvc = self.toolbox.program("dvc")
        quiet([dvc, "init"], folder, self.environ)
        site = str(folder / ".dvc" / "tmp" / "site")
        for name, value in (("analytics", "false"), ("check_update", "false"), ("site_cache_dir", site)):
            quiet([dvc, "config", f"core.{name}", value], folder, self.environ)

    def repro(self, jobs: int) -> list[str]:
        if jobs != 1:
            raise ValueError("DVC runs one stage at a time")
        return [self.toolbox.program("dvc"), "repro"]

    def status(self) -> list[str]:
        return [self.toolbox.program("dvc"), "status"]
