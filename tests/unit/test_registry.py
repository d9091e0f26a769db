from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gitml.errors import DamagedError
from gitml.store.registry import forget, register, registered


def test_repositories_are_known_once(tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    assert registered(cache) == []
    strange = os.fsdecode(b"/b\n\xff/.git")
    for path in ("/a/.git", strange, "/a/.git"):
        register(cache, path)
    assert sorted(registered(cache)) == ["/a/.git", strange]
    assert list((tmp_path / "cache/tmp").iterdir()) == []


def test_the_group_of_a_shared_cache_may_write_what_names_its_repositories(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(0o2775)
    register(str(cache), "/a/.git")
    (file,) = cache.glob("projects/*")
    assert [stat.S_IMODE(path.stat().st_mode) for path in (cache / "projects", file)] == [0o2775, 0o664]


def test_one_that_is_known_is_not_written_again(tmp_path: Path) -> None:
    register(str(tmp_path), "/a/.git")
    (file,) = (tmp_path / "projects").iterdir()
    before = file.stat().st_mtime_ns, file.stat().st_ino
    register(str(tmp_path), "/a/.git")
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == before


@pytest.mark.parametrize("spelling", ["/gone/a/.git", "/gone/a", "/gone/a/"])
def test_one_is_forgotten_by_its_git_folder_or_its_worktree(tmp_path: Path, spelling: str) -> None:
    cache = str(tmp_path)
    register(cache, "/gone/a/.git")
    register(cache, "/gone/b/.git")
    assert forget(cache, spelling)
    assert registered(cache) == ["/gone/b/.git"]
    assert not forget(cache, spelling)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"\0\0\0",
        b'{"schema": "gitml-project/2", "common_dir": "/a"}',
        b'{"schema": "gitml-project/1", "common_dir": "relative/.git"}',
        b'{"schema": "gitml-project/1", "common_dir": "/nul\\u0000"}',
        b"[" * 100_000,
    ],
)
def test_a_file_that_names_no_repository_is_an_error_that_names_it(tmp_path: Path, data: bytes) -> None:
    register(str(tmp_path), "/a/.git")
    bad = tmp_path / "projects/bad.json"
    bad.write_bytes(data)
    with pytest.raises(DamagedError, match=r"bad\.json"):
        registered(str(tmp_path))
