"""The page that a run leaves: `docs/benchmarks.md`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.bench.bars import Bar
from tests.bench.result import Results, table

_ABOUT = """\
Every tool is given the same pipelines, and all figures come from one run of the harness in `tests/bench`. A step is
`cat in/i > out/i`, each with an input file of its own; in a *chain* a step depends on the one before, in a *fan* on
none. A cell holds the ratio to gitml's time in **bold** (above 1: gitml is faster), the best wall time, and the peak
memory of the tool's largest process. Steps run one at a time.

- *first run*: nothing was run before, the inputs are committed (for the tools that live in Git). Setting up
  is not timed.
- *no-op*: the same command again, after a commit and a warm-up. The harness checks that no step ran.
- *status*: `gitml status`, `dvc status`, `snakemake --dry-run`, `doit list --all --status`, `make --question`.
- make compares modification times and keeps nothing; doit and Snakemake keep no cache of outputs; gitml and DVC hash
  every output and store it. A first run buys more in some columns than in others.
- A figure `>N s` was killed at that limit; *not run* was left out, or had no first run to stand on. DVC is not given
  1000 steps without `--full`: its first run of them takes over ten minutes.
- No memory figure is below that of the harness (about 20 MB), which Linux hands on to a child: make's is smaller.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """All that one run found. `versions`: by tool, in the order of the columns."""

    machine: str
    command: str
    versions: Mapping[str, str]
    results: Results
    bars: Sequence[Bar]

    def __str__(self) -> str:
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        bars = "\n".join(f"- {bar}" for bar in self.bars)
        return (
            f"# Benchmarks\n\nWritten by `{self.command}`; `make bench` repeats it.\n\n"
            f"- Machine: {self.machine}\n- Versions: {versions}\n\n"
            f"## Figures\n\n{table(self.results, list(self.versions))}\n\n"
            f"## The bars\n\n{bars}\n\n## How it is measured\n\n{_ABOUT}"
        )
