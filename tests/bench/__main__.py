"""`python -m tests.bench`: install the other tools, measure all of them, write one page."""

from __future__ import annotations

import argparse
import dataclasses
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench import machine
from tests.bench.bars import Bar, Extra, judge
from tests.bench.data import bars as data_bars
from tests.bench.data import task as data_task
from tests.bench.data.programs import versions
from tests.bench.data.run import KEEPERS, DataRun, keepers
from tests.bench.data.sizes import Sizes, bytes_of
from tests.bench.load import Load, Shape
from tests.bench.measure import Bench, Patience
from tests.bench.report import DATA, STEPS, Page, Part
from tests.bench.result import Case, Result, table
from tests.bench.toolbox import TOOLS as INSTALLED
from tests.bench.toolbox import Toolbox
from tests.bench.tools.doit import Doit
from tests.bench.tools.dvc import Dvc
from tests.bench.tools.gitml import Gitml
from tests.bench.tools.make import Make
from tests.bench.tools.snakemake import Snakemake
from tests.bench.tools.tool import Tool

TOOLS: Mapping[str, Callable[[Toolbox], Tool]] = {
    "gitml": lambda _: Gitml(),
    "make": lambda _: Make(),
    "doit": Doit,
    "snakemake": Snakemake,
    "dvc": Dvc,
}
PARTS = ("steps", "data")
DVC_LARGEST = 100  # steps, without --full


def main() -> int:
    """Measure, print the page and give the exit status."""
    options = parse(sys.argv[1:])
    toolbox = Toolbox(folder=Path(".bench/venv"))
    if set(options.tools) & set(INSTALLED):
        log("installing the other tools into .bench/venv")
        toolbox.install()
    # Steps and programs are looked up as a user's shell would, with gitml's environment activated.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    folder = Path(tempfile.mkdtemp(prefix="gitml-bench-", dir=options.folder))
    patience = Patience(count=options.count, budget=options.budget, limit=options.limit)
    bench = Bench(folder=folder, patience=patience, log=log)
    measure = {"steps": measure_steps, "data": measure_data}
    try:
        found = [measure[part](bench, toolbox, options) for part in PARTS if part in options.parts]
    finally:
        log("deleting what was written")
        shutil.rmtree(folder)
    bars = [bar for one in found for bar in one.bars]
    page = Page(
        machine=machine.describe(),
        command=shlex.join(["python", "-m", "tests.bench", *sys.argv[1:]]),
        versions={name: version for one in found for name, version in one.versions.items()},
        parts=[one.part for one in found],
        bars=bars,
    )
    sys.stdout.write(str(page))
    if options.output:
        Path(options.output).write_text(str(page), encoding="utf-8")
    return 1 if options.strict and not all(bar.met for bar in bars) else 0


def parse(words: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure gitml beside other tools.")
    tools = list(dict.fromkeys([*TOOLS, *KEEPERS]))
    sizes = Sizes()
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="which part to run")
    parser.add_argument("--tools", nargs="+", choices=tools, default=tools, help="which to measure")
    parser.add_argument("--steps", nargs="+", type=int, default=[1, 100, 1000], help="sizes of the pipelines")
    parser.add_argument("--shapes", nargs="+", type=Shape, default=list(Shape), help="chain, fan or both")
    parser.add_argument("--file-size", type=bytes_of, default=sizes.file, help="of the large file (default: 4GiB)")
    parser.add_argument("--files", type=int, default=sizes.files, help="small files, and objects of the cache")
    parser.add_argument("--many", type=int, default=sizes.many, help="tiny files")
    parser.add_argument("--count", type=int, default=5, help="samples of each figure, of which the best counts")
    parser.add_argument("--budget", type=float, default=20, help="seconds after which a figure gets no more samples")
    parser.add_argument("--limit", type=float, default=580, help="seconds after which a command is killed")
    parser.add_argument("--annex-limit", type=float, default=60, help="the same for git-annex")
    parser.add_argument("--full", action="store_true", help=f"give DVC more than {DVC_LARGEST} steps too")
    parser.add_argument("--folder", help="where to work (default: the system's temporary folder)")
    parser.add_argument("--output", help="Markdown file to write as well")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a bar is not met")
    return parser.parse_args(words)


class Found(NamedTuple):
    """What one part of the benchmark found."""

    part: Part
    versions: Mapping[str, str]
    bars: Sequence[Bar]


def measure_steps(bench: Bench, toolbox: Toolbox, options: argparse.Namespace) -> Found:
    """Measure pipelines of steps."""
    tools = [TOOLS[name](toolbox) for name in TOOLS if name in options.tools]
    results = measure_all(bench, tools, options)
    extra = measure_extra(bench, Gitml()) if "gitml" in options.tools else Extra()
    return Found(
        part=Part(name="Steps", table=table(results, [tool.name for tool in tools]), about=STEPS),
        versions={tool.name: tool.version() for tool in tools},
        bars=judge(results, extra),
    )


def measure_data(bench: Bench, toolbox: Toolbox, options: argparse.Namespace) -> Found:
    """Measure data: one large file, many small ones, a cache of many objects."""
    sizes = Sizes(file=options.file_size, files=options.files, many=options.many)
    found = keepers(options.tools, toolbox)
    figures = DataRun(bench=bench, keepers=found, sizes=sizes, annex_limit=options.annex_limit).figures()
    names = [keeper.name for keeper in found]
    return Found(
        part=Part(name="Data", table=data_task.table(figures, sizes, names), about=DATA),
        versions={**{keeper.name: keeper.version() for keeper in found}, **versions()},
        bars=data_bars.judge(figures, sizes),
    )


def measure_all(bench: Bench, tools: list[Tool], options: argparse.Namespace) -> dict[Case, Result]:
    """Measure every case, tool after tool on the same load, so that a change of the machine's mood is shared."""
    results: dict[Case, Result] = {}
    for steps in options.steps:
        for shape in options.shapes:
            for tool in tools:
                if tool.name == "dvc" and steps > DVC_LARGEST and not options.full:
                    continue
                results.update(bench.figures(tool, Load(steps=steps, shape=shape)))
    return results


def measure_extra(bench: Bench, gitml: Gitml) -> Extra:
    """Measure what only the bars need."""
    start_up = bench.start_up(gitml)
    return dataclasses.replace(start_up, serial=bench.parallel(gitml, 1), parallel=bench.parallel(gitml, 2))


def log(line: str) -> None:
    """Tell how far it is."""
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
