"""The benchmark of data: what it refuses to take for work, its turns, its bars and its table."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bench.child import Sample, run
from tests.bench.data.bars import judge
from tests.bench.data.cachepart import CachePart
from tests.bench.data.filepart import FilePart
from tests.bench.data.folderpart import FolderPart
from tests.bench.data.keeper import DATA, Holding, Link
from tests.bench.data.keepers.git import GitKeeper
from tests.bench.data.keepers.gitml import CACHE, GitmlKeeper
from tests.bench.data.material import SMALL, TINY, count_files, edit, pieces, write_file, write_folder
from tests.bench.data.memory import run_watched
from tests.bench.data.rounds import by_turns
from tests.bench.data.site import Site
from tests.bench.data.sizes import Sizes, bytes_of, in_words
from tests.bench.data.task import B3SUM, CP, CP_R, FIND, FIND_B3SUM, FIND_SIZES, START_UP, XXHSUM, Place, Task, table
from tests.bench.measure import Bench, Patience, retire
from tests.bench.repository import NotDoneError, tracked
from tests.bench.result import Result
from tests.bench.tools.gitml import Gitml

SIZES = Sizes()


class Idle(GitKeeper):
    """A tool that ends well and does nothing."""

    name = "idle"

    def add(self) -> list[str]:
        return ["true"]


class Blind(GitKeeper):
    """A tool whose own answer is that nothing ever changes."""

    def check_status(self, folder: Path, *, changed: bool) -> None:
        if changed:
            raise NotDoneError("no change seen")


class Copying(GitmlKeeper):
    """gitml without a configured link type, which then copies or shares blocks."""

    def begin(self, folder: Path, link: Link | None) -> None:
        super().begin(folder, None)


@pytest.mark.parametrize(("text", "size"), [("4GiB", 4 << 30), ("64 MiB", 64 << 20), ("100KiB", 100 << 10)])
def test_sizes_are_read_with_their_unit(text: str, size: int) -> None:
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "4", "4GB", "-1GiB", "0KiB", "1.5GiB"])
def test_sizes_without_a_known_unit_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        bytes_of(text)


def test_sizes_are_written_in_the_largest_unit_that_fits() -> None:
    assert [in_words(size) for size in (4 << 30, 1536 << 20, 1000)] == ["4 GiB", "1536 MiB", "1000 bytes"]


def test_material_is_the_same_in_every_run_and_no_two_files_are_alike(tmp_path: Path) -> None:
    total = write_folder(tmp_path / "a", 1200, TINY)
    assert count_files(tmp_path / "a") == 1200
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["0000", "0001"]
    found = list(pieces(1200, TINY))
    assert found == list(pieces(1200, TINY))
    assert len(set(found)) == 1200
    assert total == sum(map(len, found))
    assert all(SMALL[0] <= len(data) <= SMALL[1] for data in pieces(50, SMALL))


def test_a_large_file_is_random_throughout(tmp_path: Path) -> None:
    write_file(tmp_path / "file", (4 << 20) + 5)
    data = (tmp_path / "file").read_bytes()
    assert len(data) == (4 << 20) + 5
    assert data[: 1 << 20] != data[1 << 20 : 2 << 20]


def test_turns_alternate_and_end_when_patience_runs_out(tmp_path: Path) -> None:
    calls: list[str] = []
    turns = {"quick": _sampler(calls, "quick", 1.0), "slow": _sampler(calls, "slow", 7.0)}
    bench = _bench(tmp_path, count=3, budget=10)
    results = by_turns(bench, Task.FILE_COPY, turns, clock=lambda: 6.0 * calls.count("slow"))
    assert [result.seconds for _, result in results] == [1.0, 7.0]
    assert calls == ["quick", "slow", "quick", "slow", "quick"]


def test_a_warm_up_does_not_count(tmp_path: Path) -> None:
    times = iter([1.0, 5.0])
    turns = {"one": lambda: Sample(seconds=next(times), peak=1, exit_status=0)}
    results = by_turns(_bench(tmp_path, count=1), Task.FILE_COPY, turns, warm_up=True)
    assert [result.seconds for _, result in results] == [5.0]


def test_work_that_was_not_done_is_no_figure_and_stops_nobody_else(tmp_path: Path) -> None:
    def fail() -> Sample:
        raise NotDoneError("nothing was added")

    lines: list[str] = []
    bench = _bench(tmp_path, count=2, log=lines.append)
    results = dict(by_turns(bench, Task.FILE_COPY, {"bad": fail, "good": _sampler([], "good", 1.0)}))
    assert results[Place(Task.FILE_COPY, "bad")] == Result(failure="failed, work not done")
    assert results[Place(Task.FILE_COPY, "good")].seconds == 1.0
    assert "nothing was added" in lines


def test_a_tool_that_adds_nothing_is_not_measured(tmp_path: Path) -> None:
    part = FolderPart(bench=_bench(tmp_path), keepers=[Idle()], files=3)
    found = {place: result for place, result in part.figures() if place.name == "idle"}
    assert found == {Place(Task.FOLDER_ADD, "idle"): Result(failure="failed, work not done")}


def test_a_tool_that_sees_no_edit_is_not_measured(tmp_path: Path) -> None:
    found = dict(FolderPart(bench=_bench(tmp_path), keepers=[Blind()], files=3).figures())
    assert found[Place(Task.FOLDER_NOOP, "git")].seconds is not None
    assert found[Place(Task.FOLDER_EDITED, "git")] == Result(failure="failed, work not done")


def test_a_folder_is_measured_with_git_and_find(tmp_path: Path) -> None:
    found = dict(FolderPart(bench=_bench(tmp_path), keepers=[GitKeeper()], files=3).figures())
    assert set(found) == {
        Place(Task.FOLDER_ADD, "git"),
        *(Place(task, name) for task in (Task.FOLDER_NOOP, Task.FOLDER_EDITED) for name in ("git", FIND)),
    }
    assert all(result.seconds is not None for result in found.values())
    assert tracked(tmp_path / "folder-git", DATA) == 3


def test_a_site_begins_anew_and_deletes_nothing(tmp_path: Path) -> None:
    site = Site(bench=_bench(tmp_path), keeper=GitKeeper(), name="site")
    site.renew()
    (site.data).write_bytes(b"x" * 10)
    assert site.add(Holding(1, 10)).exit_status == 0
    site.renew()
    assert tracked(site.folder, DATA) == 0
    assert [path for path in tmp_path.glob("retired-*") if (path / DATA).exists()]


def test_gitml_is_held_to_all_that_it_was_given(tmp_path: Path) -> None:
    site = _gitml(tmp_path)
    holding = Holding(30, write_folder(site.data, 30, TINY))
    with pytest.raises(NotDoneError, match="left no"):
        site.keeper.check_added(site.folder, holding)
    assert site.add(holding).exit_status == 0
    with pytest.raises(NotDoneError, match="speaks of"):
        site.keeper.check_added(site.folder, Holding(31, holding.size))
    retire(site.folder / CACHE)
    with pytest.raises(NotDoneError, match="does not have all"):
        site.keeper.check_added(site.folder, holding)


def test_gitml_is_asked_itself_whether_data_has_changed(tmp_path: Path) -> None:
    site = _gitml(tmp_path)
    site.add(Holding(3, write_folder(site.data, 3, TINY)))
    site.keeper.settle(site.folder)
    assert site.status(changed=False).exit_status == 0
    with pytest.raises(NotDoneError):
        site.status(changed=True)
    edit(site.data / "0000" / "0000")
    assert site.status(changed=True).exit_status == 0
    with pytest.raises(NotDoneError):
        site.status(changed=False)


def test_a_large_file_is_measured_and_given_back(tmp_path: Path) -> None:
    part = FilePart(bench=_bench(tmp_path), keepers=[Copying(Gitml())], size=(16 << 20) + 1)
    found = dict(part.figures())
    assert found[Place(Task.FILE_COPY, CP)].seconds is not None
    assert found[Place(Task.FILE_COPY, "gitml")].seconds is not None
    assert found[Place(Task.FILE_TOUCHED, "gitml")].seconds is not None
    large = [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size >= 1 << 20]
    assert large == []


def test_a_tool_that_copies_where_it_should_link_is_not_measured(tmp_path: Path) -> None:
    found = dict(FilePart(bench=_bench(tmp_path), keepers=[Copying(Gitml())], size=1 << 20).figures())
    assert found[Place(Task.FILE_LINK, "gitml")] == Result(failure="failed, work not done")


def test_a_cache_is_judged_by_the_garbage_that_it_has(tmp_path: Path) -> None:
    part = CachePart(bench=_bench(tmp_path), keeper=GitmlKeeper(Gitml()), objects=21)
    found = dict(part.figures())
    assert found[Place(Task.CACHE_GC, "gitml")].seconds is not None
    assert found[Place(Task.CACHE_VERIFY, "gitml")].seconds is not None


def test_a_site_sheds_large_files_only(tmp_path: Path) -> None:
    site = Site(bench=_bench(tmp_path), keeper=GitKeeper(), name="site")
    site.folder.mkdir()
    (site.folder / "large").write_bytes(bytes(1 << 20))
    (site.folder / "small").write_bytes(bytes(1 << 19))
    site.shed()
    assert [path.name for path in site.folder.iterdir()] == ["small"]


def test_memory_of_a_whole_family_is_summed(tmp_path: Path) -> None:
    code = """if True:
        import os, time
        if os.fork() == 0:
            mine = bytearray(80_000_000)
            time.sleep(0.5)
            os._exit(0)
        mine = bytearray(80_000_000)
        os.wait()
    """
    sample, peak = run_watched([sys.executable, "-c", code], cwd=tmp_path, environ=os.environ, limit=60)
    assert sample.exit_status == 0
    assert 80_000_000 < sample.peak < 140_000_000
    assert peak > 160_000_000


def test_a_large_harness_does_not_show_in_the_figures(tmp_path: Path) -> None:
    mine = bytearray(b"x") * 150_000_000
    sample = run(["true"], cwd=tmp_path, environ=os.environ, limit=60)
    assert sample.peak < 100_000_000 < len(mine)


def test_a_command_that_cannot_be_started_has_failed(tmp_path: Path) -> None:
    sample = run(["no-such-program"], cwd=tmp_path, environ=os.environ, limit=60)
    assert sample.exit_status != 0
    assert not sample.timed_out
    assert "no-such-program" in sample.words


def test_bars_on_figures_that_meet_them_all() -> None:
    bars = judge(_figures(), SIZES)
    assert [str(bar) for bar in bars if not bar.met] == []
    assert len(bars) == 17


@pytest.mark.parametrize(
    ("task", "seconds", "missed"),
    [
        (Task.FILE_COPY, 2.4, ["file: add, copying over cp"]),
        (Task.FILE_COPY, 4.0, ["file: add, copying over cp", "file: add, copying: dvc over gitml"]),
        (Task.FILE_LINK, 0.8, ["file: add, hardlinking over b3sum"]),
        (Task.FILE_TOUCHED, 0.51, ["file: status after a touch beyond 1.3x xxhsum -H2"]),
        (Task.FOLDER_ADD, 5.0, ["folder: add: git over gitml"]),
        (Task.FOLDER_EDITED, 0.3, ["folder: status after an edit, less that of one file, over find"]),
        (Task.FOLDER_CHECKOUT, 3.1, ["folder: checkout over cp -r"]),
        (
            Task.MANY_NOOP,
            4.1,
            ["1,000,000 files: status", "1,000,000 files: status over that of 100,000, 10 times fewer"],
        ),
        (Task.CACHE_GC, 0.5, ["cache: gc --dry-run over find -printf %s"]),
        (Task.CACHE_VERIFY, 1.6, ["cache: verify over find, b3sum"]),
    ],
)
def test_a_bar_is_missed_when_gitml_is_slower(task: Task, seconds: float, missed: list[str]) -> None:
    figures = {**_figures(), Place(task, "gitml"): Result(seconds=seconds, peak=300_000_000)}
    assert [bar.text for bar in judge(figures, SIZES) if not bar.met] == missed


def test_the_memory_of_many_files_has_a_bar() -> None:
    figures = {**_figures(), Place(Task.MANY_NOOP, "gitml"): Result(seconds=2.0, peak=401_000_000)}
    missed = [str(bar) for bar in judge(figures, SIZES) if not bar.met]
    assert missed == ["1,000,000 files: status, peak memory of all its processes: at most 400 MB: 401.00 MB, NOT met"]


def test_growth_is_judged_by_the_sizes_that_were_measured() -> None:
    bars = judge(_figures(), Sizes(files=1000, many=5000))
    assert next(bar for bar in bars if "times fewer" in bar.text).limit == pytest.approx(6.0)


def test_bars_without_figures_are_not_met() -> None:
    bars = judge({}, SIZES)
    assert len(bars) == 17
    assert all(not bar.met and str(bar).endswith("not measured, NOT met") for bar in bars)


def test_a_bar_needs_every_figure_that_it_rests_on() -> None:
    figures = {place: result for place, result in _figures().items() if place.name not in (START_UP, B3SUM, XXHSUM)}
    assert sum(bar.figure is None for bar in judge(figures, SIZES)) == 4


def test_the_table_has_a_column_for_each_tool_and_one_for_the_bounds() -> None:
    figures = {
        Place(Task.FOLDER_NOOP, FIND): Result(seconds=0.1, peak=10_000_000),
        Place(Task.FOLDER_NOOP, "gitml"): Result(seconds=0.2, peak=30_000_000),
        Place(Task.FOLDER_NOOP, "dvc"): Result(seconds=4.2, peak=65_000_000),
        Place(Task.FOLDER_ADD, "gitml"): Result(failure="failed, exit 2"),
        Place(Task.FOLDER_ADD, "git-annex"): Result(over=60.0),
    }
    status = "| 100,000 files of 1-8 KiB | status |"
    assert table(figures, SIZES, ["gitml", "dvc", "git-annex"]).splitlines() == [
        "| data | operation | gitml | dvc | git-annex | bounds |",
        "|---|---|---|---|---|---|",
        "| 100,000 files of 1-8 KiB | add | failed, exit 2 | not run | >60.00 s | - |",
        f"{status} 200 ms, 30 MB | **21x** 4.20 s, 65 MB | not run | `find` **0.5x** 100 ms, 10 MB |",
    ]


def _gitml(folder: Path) -> Site:
    site = Site(bench=_bench(folder), keeper=GitmlKeeper(Gitml()), name="site")
    site.renew()
    return site


def _sampler(calls: list[str], name: str, seconds: float) -> Callable[[], Sample]:
    def sample() -> Sample:
        calls.append(name)
        return Sample(seconds=seconds, peak=1, exit_status=0)

    return sample


def _bench(folder: Path, *, count: int = 1, budget: float = 60, log: Callable[[str], None] = lambda _: None) -> Bench:
    return Bench(folder=folder, patience=Patience(count=count, budget=budget, limit=60), log=log)


def _figures() -> dict[Place, Result]:
    seconds = {
        Task.FILE_COPY: {"gitml": 2.2, CP: 2.0, "dvc": 15.0},
        Task.FILE_LINK: {"gitml": 0.7, B3SUM: 0.5, "dvc": 9.0},
        Task.FILE_TOUCHED: {"gitml": 0.45, XXHSUM: 0.3},
        Task.FOLDER_ADD: {"gitml": 3.0, "dvc": 60.0, "git": 20.0},
        Task.FOLDER_NOOP: {"gitml": 0.25, "dvc": 5.0, FIND: 0.15, START_UP: 0.06},
        Task.FOLDER_EDITED: {"gitml": 0.27, "dvc": 5.0, FIND: 0.15, START_UP: 0.06},
        Task.FOLDER_CHECKOUT: {"gitml": 2.9, CP_R: 3.0},
        Task.MANY_NOOP: {"gitml": 2.0},
        Task.CACHE_GC: {"gitml": 0.4, FIND_SIZES: 0.24},
        Task.CACHE_VERIFY: {"gitml": 1.2, FIND_B3SUM: 1.0},
    }
    return {
        Place(task, name): Result(seconds=value, peak=300_000_000)
        for task, found in seconds.items()
        for name, value in found.items()
    }
