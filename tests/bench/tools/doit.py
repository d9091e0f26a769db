"""doit, with its default checker (MD5 of every file dependency whose time or size changed)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.bench.load import Load
from tests.bench.toolbox import Toolbox


class Doit:
    """doit, with one task for each step."""

    name = "doit"
    in_git = False
    environ: Mapping[str, str] = {}

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    def version(self) -> str:
        return self.toolbox.version_of("doit")

    def setup(self, folder: Path, load: Load) -> None:
        tasks = [
            {
                "name": str(step),
                "actions": [load.command(step)],
                "file_dep": load.inputs(step),
                "targets": [load.output(step)],
            }
            for step in range(load.steps)
        ]
        lines = [
            "TASKS = [",
            *(f"    {task!r}," for task in tasks),
            "]",
            "",
            "",
            "def task_step():",
            "    yield from TASKS",
        ]
        (folder / "dodo.py").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def repro(self, jobs: int) -> list[str]:
        parallel = ["-n", str(jobs)] if jobs > 1 else []
        return [self.toolbox.program("doit"), *parallel]

    def status(self) -> list[str]:
        return [self.toolbox.program("doit"), "list", "--all", "--status"]
