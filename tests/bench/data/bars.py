"""The bars for data, each judged from the figures of one run."""

from __future__ import annotations

from tests.bench.bars import Bar
from tests.bench.data.sizes import Sizes
from tests.bench.data.task import B3SUM, CP, CP_R, FIND, FIND_B3SUM, FIND_SIZES, START_UP, XXHSUM, Figures, Place, Task
from tests.bench.result import Result, ratio

COPY_OVER_CP = 1.15
LINK_OVER_B3SUM = 1.5
DVC_COPY_OVER_OURS = 4.0
DVC_LINK_OVER_OURS = 10.0
XXHSUM_FACTOR = 1.3
TOUCHED_BEYOND = 0.1  # seconds
DVC_ADD_OVER_OURS = 10.0
GIT_ADD_OVER_OURS = 5.0
STATUS_OVER_FIND = 1.5
DVC_STATUS_OVER_OURS = 12.0
CHECKOUT_OVER_CP = 1.0
MANY_SECONDS = 4.0
MANY_MEMORY = 400e6  # bytes
GROWTH_PER_FILE = 1.2
GC_OVER_FIND = 2.0
VERIFY_OVER_B3SUM = 1.5


def judge(figures: Figures, sizes: Sizes) -> list[Bar]:
    """Hold every bar against the figures."""
    return [*_file(figures), *_folder(figures), *_many(figures, sizes), *_cache(figures)]


def _file(figures: Figures) -> list[Bar]:
    return [
        _over(figures, Task.FILE_COPY, CP, COPY_OVER_CP),
        _over(figures, Task.FILE_LINK, B3SUM, LINK_OVER_B3SUM),
        _under(figures, Task.FILE_COPY, "dvc", DVC_COPY_OVER_OURS),
        _under(figures, Task.FILE_LINK, "dvc", DVC_LINK_OVER_OURS),
        Bar(
            text=f"{_named(Task.FILE_TOUCHED)} beyond {XXHSUM_FACTOR}x {XXHSUM}",
            figure=_beyond(figures),
            limit=TOUCHED_BEYOND,
            at_most=True,
            unit=" s",
        ),
    ]


def _folder(figures: Figures) -> list[Bar]:
    bars = [
        _under(figures, Task.FOLDER_ADD, "dvc", DVC_ADD_OVER_OURS),
        _under(figures, Task.FOLDER_ADD, "git", GIT_ADD_OVER_OURS),
    ]
    for task in (Task.FOLDER_NOOP, Task.FOLDER_EDITED):
        bars.append(
            Bar(
                text=f"{_named(task)}, less that of one file, over {FIND}",
                figure=_less_start_up(figures, task),
                limit=STATUS_OVER_FIND,
                at_most=True,
            )
        )
        bars.append(_under(figures, task, "dvc", DVC_STATUS_OVER_OURS))
    return [*bars, _over(figures, Task.FOLDER_CHECKOUT, CP_R, CHECKOUT_OVER_CP)]


def _many(figures: Figures, sizes: Sizes) -> list[Bar]:
    ours = figures.get(Place(Task.MANY_NOOP, "gitml"))
    seconds = None if ours is None else ours.seconds
    words = f"{sizes.many:,} files: {Task.MANY_NOOP.words}"
    times = sizes.many / sizes.files
    return [
        Bar(text=words, figure=seconds, limit=MANY_SECONDS, at_most=True, unit=" s"),
        Bar(
            text=f"{words}, peak memory of all its processes",
            figure=None if ours is None or seconds is None else float(ours.peak),
            limit=MANY_MEMORY,
            at_most=True,
            unit=" MB",
        ),
        Bar(
            text=f"{words} over that of {sizes.files:,}, {times:g} times fewer",
            figure=ratio(figures.get(Place(Task.FOLDER_NOOP, "gitml")), ours),
            limit=times * GROWTH_PER_FILE,
            at_most=True,
        ),
    ]


def _cache(figures: Figures) -> list[Bar]:
    return [
        _over(figures, Task.CACHE_GC, FIND_SIZES, GC_OVER_FIND),
        _over(figures, Task.CACHE_VERIFY, FIND_B3SUM, VERIFY_OVER_B3SUM),
    ]


def _over(figures: Figures, task: Task, bound: str, limit: float) -> Bar:
    """Hold gitml against what bounds it."""
    figure = ratio(figures.get(Place(task, bound)), figures.get(Place(task, "gitml")))
    return Bar(text=f"{_named(task)} over {bound}", figure=figure, limit=limit, at_most=True)


def _under(figures: Figures, task: Task, other: str, limit: float) -> Bar:
    """Hold another tool against gitml."""
    figure = ratio(figures.get(Place(task, "gitml")), figures.get(Place(task, other)))
    return Bar(text=f"{_named(task)}: {other} over gitml", figure=figure, limit=limit, at_most=False)


def _named(task: Task) -> str:
    return f"{task.subject.value}: {task.words}"


def _seconds(figures: Figures, task: Task, *names: str) -> list[float] | None:
    """Give the times of several; None when one of them was not measured."""
    found = [figures.get(Place(task, name), Result()).seconds for name in names]
    known = [seconds for seconds in found if seconds is not None]
    return known if len(known) == len(found) else None


def _beyond(figures: Figures) -> float | None:
    known = _seconds(figures, Task.FILE_TOUCHED, "gitml", XXHSUM)
    return None if known is None else known[0] - XXHSUM_FACTOR * known[1]


def _less_start_up(figures: Figures, task: Task) -> float | None:
    known = _seconds(figures, task, "gitml", START_UP, FIND)
    return None if known is None else (known[0] - known[1]) / known[2]
