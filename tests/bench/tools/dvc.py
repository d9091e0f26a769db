"""DVC, with analytics and the check for updates off."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.bench.load import Load
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
        dvc = self.toolbox.program("dvc")
        for words in (["init"], ["config", "core.analytics", "false"], ["config", "core.check_update", "false"]):
            environ = {**os.environ, **self.environ}
            subprocess.run([dvc, *words], cwd=folder, env=environ, check=True, capture_output=True)

    def repro(self, jobs: int) -> list[str]:
        if jobs != 1:
            raise ValueError("DVC runs one stage at a time")
        return [self.toolbox.program("dvc"), "repro"]

    def status(self) -> list[str]:
        return [self.toolbox.program("dvc"), "status"]
