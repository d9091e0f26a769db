"""The line of progress, on a clock that stands still until it is told to go on."""

from __future__ import annotations

import contextlib
import io

from gitml.cli.progress import ProgressLine

ERASE = "\r\x1b[K"


class Terminal:
    """A stream of 80 columns and a clock."""

    def __init__(self, width: int = 80) -> None:
        self.stream = io.StringIO()
        self.now = 100.0
        self.line = ProgressLine(self.stream, clock=lambda: self.now, width=lambda: width)

    @property
    def drawn(self) -> list[str]:
        """All lines that were drawn; an empty one is an erased line."""
        return self.stream.getvalue().split(ERASE)[1:]


def test_nothing_is_drawn_in_the_first_half_second() -> None:
    terminal = Terminal()
    with terminal.line as line:
        line.phase("hashing", files=10)
        terminal.now += 0.49
        line.advance(5, 100)
    assert terminal.stream.getvalue() == ""


def test_it_says_how_far_how_fast_and_how_long() -> None:
    terminal = Terminal()
    terminal.line.phase("storing", files=4000, size=40_000_000)
    terminal.now += 2
    terminal.line.advance(1000, 10_000_000)
    assert terminal.drawn == ["storing  1,000 of 4,000 files  10 MB of 40 MB  5.0 MB/s  6.0 s left"]


def test_without_totals_it_only_counts() -> None:
    terminal = Terminal()
    terminal.line.phase("storing")
    terminal.now += 1
    terminal.line.advance(3, 3000)
    assert terminal.drawn == ["storing  3 files  3.0 kB  3.0 kB/s"]


def test_files_alone_give_the_share_where_sizes_are_not_known() -> None:
    terminal = Terminal()
    terminal.line.phase("looking", files=10)
    terminal.now += 1
    terminal.line.advance(5, 0)
    assert terminal.drawn == ["looking  5 of 10 files  1.0 s left"]


def test_it_is_drawn_ten_times_a_second_at_most() -> None:
    terminal = Terminal()
    terminal.line.phase("storing")
    terminal.now += 1
    for _ in range(1000):
        terminal.now += 0.001
        terminal.line.advance(1, 1)
    assert 9 <= len(terminal.drawn) <= 11


def test_a_phase_counts_anew() -> None:
    terminal = Terminal()
    terminal.line.phase("one", files=10)
    terminal.now += 1
    terminal.line.advance(10, 10)
    terminal.now += 1
    terminal.line.phase("two", files=3)
    terminal.now += 1
    terminal.line.advance(1, 0)
    assert terminal.drawn[-1].startswith("two  1 of 3 files")


def test_the_line_is_gone_at_the_end_also_after_an_error() -> None:
    terminal = Terminal()
    with contextlib.suppress(ZeroDivisionError), terminal.line as line:
        line.phase("storing")
        terminal.now += 1
        line.advance(1, 1)
        line.advance(1, 1 // 0)
    assert terminal.drawn[-1] == ""
    assert len(terminal.drawn) == 2


def test_it_never_fills_the_last_column() -> None:
    terminal = Terminal(width=20)
    terminal.line.phase("a phase with a long name", files=1_000_000)
    terminal.now += 1
    terminal.line.advance(1, 1)
    assert len(terminal.drawn[0]) == 19


def test_more_than_the_total_is_no_negative_time() -> None:
    terminal = Terminal()
    terminal.line.phase("storing", files=2, size=10)
    terminal.now += 1
    terminal.line.advance(3, 30)
    assert terminal.drawn[0].endswith("0 ms left")
