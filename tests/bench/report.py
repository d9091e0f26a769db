"""The page that a run leaves: `docs/benchmarks.md`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.bench.bars import Bar

STEPS = """\
Every tool is given the same pipelines. A step is `cat in/i > out/i`, each with an input file of its own; in a *chain* a
step depends on the one before, in a *fan* on none. Steps run one at a time.

- *first run*: nothing was run before, the inputs are committed (for the tools that live in Git). Setting up
  is not timed.
- *no-op*: the same command again, after a commit and a warm-up. The harness checks that no step ran.
- *status*: `gitml status`, `dvc status`, `snakemake --dry-run`, `doit list --all --status`, `make --question`.
- make compares modification times and keeps nothing; doit and Snakemake keep no cache of outputs; gitml and DVC hash
  every output and store it. A first run buys more in some columns than in others.
- DVC is not given 1000 steps without `--full`: its first run of them takes over ten minutes.
"""

DATA = """\
All files are of random bytes, 1,000 to a folder, and on one file system; whatever is compared is measured by turns. The
page cache is warm: nothing is dropped from it, and what is read was written or read just before. Before each command
that writes, everything written so far is synced to the disk, so that no command pays for the one before it; what it
leaves unsynced itself is not charged to it. Nothing but single large files is deleted before the end. After each
sample the harness checks that the work was done: what `add` recorded against what there was, the number of files that
were written out and the bytes of some, and the tool's own answer whether anything has changed.

- The last column has what bounds any tool: `cat`, `b3sum`, `xxhsum -H2` and `cp` of the same file; `cp; sync` is `cp`
  that waits for the disk, as `gitml add` does for large files. `find` prints size and time of every file
  (`find -printf '%s %T@\\n'`), `find -printf %s` the sizes of the objects of the cache; `find, b3sum` is
  `find -print0 | xargs -0 -P CORES -n 1000 b3sum` over them. *status of one file* is `gitml status` of a project with
  one file of 8 KiB, in the same state: the start-up that every call has.
- *add, copying* and *add, hardlinking*: gitml's `cache.link`, DVC's `cache.type`. The folder is added as each tool
  does by itself. Git has `feature.manyFiles` and a warm untracked cache.
- *status*: after a commit and a warm-up; *after a touch*: with a new modification time and the same bytes; *after an
  edit*: one file was given new bytes.
- *checkout*: `gitml checkout` into a worktree without the folder, beside `cp -r` of it.
- *gc* and *verify*: of a cache in which a pointer names every other object, and nothing the others.
- git-annex is measured once and killed after `--annex-limit` seconds. What is not installed is not measured, and a bar
  over it not met: `apt-get install b3sum xxhash git-annex`.
- The memory of *status* of the largest folder is a bound for all of its processes together: the sum of their high-water
  marks, taken in a run of its own (`tests/bench/data/memory.py`).
"""

_ABOUT = """\
All figures come from one run of the harness in `tests/bench`. A cell holds the ratio to gitml's time in **bold** (above
1: gitml is faster), the best wall time, and the peak memory of the tool's largest process. A figure `>N s` was killed
at that limit; *not run* was left out, not installed, or had no first run to stand on. No memory figure is below that of
the process that starts the command (about 10 MB), which Linux hands on to it: that of make and `cat` is smaller.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One part of the benchmark: its name, its table, and how it is measured."""

    name: str
    table: str
    about: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """All that one run found. `versions`: by tool, in the order of the columns."""

    machine: str
    command: str
    versions: Mapping[str, str]
    parts: Sequence[Part]
    bars: Sequence[Bar]

    def __str__(self) -> str:
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        tables = "".join(f"## {part.name}\n\n{part.table}\n\n" for part in self.parts)
        bars = "\n".join(f"- {bar}" for bar in self.bars)
        abouts = "".join(f"\n### {part.name}\n\n{part.about}" for part in self.parts)
        return (
            f"# Benchmarks\n\nWritten by `{self.command}`; `make bench` repeats it.\n\n"
            f"- Machine: {self.machine}\n- Versions: {versions}\n\n"
            f"{tables}## The bars\n\n{bars}\n\n## How it is measured\n\n{_ABOUT}{abouts}"
        )
