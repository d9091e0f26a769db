"""gitml itself, from the environment that runs the benchmark."""

from __future__ import annotations

import compileall
import sys
from collections.abc import Mapping
from pathlib import Path

import gitml
from gitml.version import __version__
from tests.bench.load import Load


class Gitml:
    """gitml as installed beside the interpreter."""

    name = "gitml"
    in_git = True
    environ: Mapping[str, str] = {}

    def __init__(self) -> None:
        # What pip does for an installed package, an editable one and PYTHONDONTWRITEBYTECODE leave undone: without it
        # every call would compile gitml's own source, but not that of the tools beside it.
        compileall.compile_dir(str(Path(gitml.__file__).parent), quiet=1)
        self.program = str(Path(sys.executable).with_name("gitml"))

    def version(self) -> str:
        return __version__

    def setup(self, folder: Path, load: Load) -> None:
        lines = []
        for step in range(load.steps):
            inputs = ", ".join(f'"{path}"' for path in load.inputs(step))
            lines.append(f'[step.s{step}]\nrun = "{load.command(step)}"')
            lines.append(f'inputs = [{inputs}]\noutputs = ["{load.output(step)}"]\n')
        (folder / "gitml.toml").write_text("\n".join(lines), encoding="utf-8")

    def repro(self, jobs: int) -> list[str]:
        return [self.program, "repro", "-j", str(jobs)]

    def status(self) -> list[str]:
        return [self.program, "status"]
