"""Snakemake, with one wildcard rule for all steps and its default rerun triggers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.bench.load import Load, Shape
from tests.bench.toolbox import Toolbox

_INPUT = {
    Shape.FAN: '"in/{i}"',
    Shape.CHAIN: 'lambda w: [f"in/{w.i}"] + ([f"out/{int(w.i) - 1}"] if w.i != "0" else [])',
}


class Snakemake:
    """Snakemake, quiet, on one core unless told otherwise."""

    name = "snakemake"
    in_git = False
    environ: Mapping[str, str] = {}

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    def version(self) -> str:
        return self.toolbox.version_of("snakemake")

    def setup(self, folder: Path, load: Load) -> None:
        last = load.output(load.steps - 1) if load.shape is Shape.CHAIN else None
        wanted = f'"{last}"' if last else f'expand("out/{{i}}", i=range({load.steps}))'
        pause = f"sleep {load.pause} && " if load.pause else ""
        rules = (
            f"rule all:\n    input: {wanted}\n\n"
            f'rule step:\n    input: {_INPUT[load.shape]}\n    output: "out/{{i}}"\n'
            f'    shell: "{pause}cat in/{{wildcards.i}} > {{output}}"\n'
        )
        (folder / "Snakefile").write_text(rules, encoding="utf-8")

    def repro(self, jobs: int) -> list[str]:
        return [self.toolbox.program("snakemake"), "--cores", str(jobs), "--quiet", "all"]

    def status(self) -> list[str]:
        return [self.toolbox.program("snakemake"), "--dry-run", "--quiet", "all"]
