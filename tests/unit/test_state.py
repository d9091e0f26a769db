from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from gitml.hashing.state import SCHEMA_VERSION, StateDatabase

ROW = (b"a/b", 1, 2, 3, -4, 5, b"x" * 16, b"y" * 32)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "machine" / "state.db")


def test_rows_and_memos_come_back_to_another_process(path: str) -> None:
    first = StateDatabase(path)
    first.store_stats([ROW])
    first.store_memos("kind", {b"n": b"v", b"m": b"w"})
    first.close()
    second = StateDatabase(path)
    assert second.stat_rows() == [ROW]
    assert second.memos("kind") == {b"n": b"v", b"m": b"w"}
    assert second.memo("kind", b"n") == b"v"
    assert second.memo("other", b"n") is None
    second.close()


def test_rows_are_replaced_and_forgotten(path: str) -> None:
    database = StateDatabase(path)
    database.store_stats([ROW])
    database.store_stats([(b"a/b", 9, *ROW[2:])])
    assert [row[1] for row in database.stat_rows()] == [9]
    database.store_stats([], forget=[b"a/b"])
    assert database.stat_rows() == []
    database.close()


def test_a_kind_can_be_replaced_whole(path: str) -> None:
    database = StateDatabase(path)
    database.store_memos("kind", {b"old": b"1"})
    database.store_memos("other", {b"old": b"1"})
    database.store_memos("kind", {b"new": b"2"}, replace_kind=True)
    assert database.memos("kind") == {b"new": b"2"}
    assert database.memos("other") == {b"old": b"1"}
    database.close()


def answers_nothing(database: StateDatabase) -> bool:
    database.store_stats([ROW])
    database.store_memos("kind", {b"n": b"v"})
    return database.stat_rows() == [] and database.memos("kind") == {} and database.memo("kind", b"n") is None


def test_a_place_where_nothing_can_be_made_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    database = StateDatabase(str(tmp_path / "file" / "state.db"))
    assert answers_nothing(database)
    assert database.trouble
    database.close()


def test_a_folder_in_its_place_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "state.db").mkdir()
    assert answers_nothing(StateDatabase(str(tmp_path / "state.db")))


@pytest.mark.parametrize("data", [b"no database " * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_made_anew(path: str, data: bytes) -> None:
    os.makedirs(os.path.dirname(path))
    Path(path).write_bytes(data)
    database = StateDatabase(path)
    database.store_stats([ROW])
    assert database.stat_rows() == [ROW]
    database.close()


def test_a_file_of_another_schema_is_made_anew(path: str) -> None:
    os.makedirs(os.path.dirname(path))
    other = sqlite3.connect(path)
    other.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    other.close()
    database = StateDatabase(path)
    database.store_stats([ROW])
    assert database.stat_rows() == [ROW]
    database.close()


def test_two_may_write_at_once(path: str) -> None:
    first, second = StateDatabase(path), StateDatabase(path)
    for number in range(50):
        first.store_memos("kind", {b"a%d" % number: b"1"})
        second.store_memos("kind", {b"b%d" % number: b"1"})
    assert len(first.memos("kind")) == len(second.memos("kind")) == 100
    first.close()
    second.close()


def test_a_closed_database_answers_nothing(path: str) -> None:
    database = StateDatabase(path)
    database.store_stats([ROW])
    database.close()
    assert answers_nothing(database)
