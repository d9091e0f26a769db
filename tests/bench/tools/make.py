"""GNU make: it compares modification times, hashes nothing and keeps nothing. The floor, not a rival."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.bench.load import Load


class Make:
    """make, with one explicit rule for each step."""

    name = "make"
    in_git = False
    environ: Mapping[str, str] = {}

    def version(self) -> str:
        return subprocess.check_output(["make", "--version"], text=True).splitlines()[0].removeprefix("GNU Make ")

    def setup(self, folder: Path, load: Load) -> None:
        outputs = " ".join(load.output(step) for step in range(load.steps))
        rules = "".join(
            f"{load.output(step)}: {' '.join(load.inputs(step))}\n\t{load.command(step)}\n"
            for step in range(load.steps)
        )
        (folder / "Makefile").write_text(f".PHONY: all\nall: {outputs}\n{rules}", encoding="utf-8")

    def repro(self, jobs: int) -> list[str]:
        return ["make", "-j", str(jobs)]

    def status(self) -> list[str]:
        return ["make", "--question"]
