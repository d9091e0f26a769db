from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitml.git.ignore import update_exclude
from gitml.git.repository import Repository, open_repository
from tests.repos import Repo, new_repo

STRANGE = (
    "plain", "a b", "end ", "end  ", "#hash", "!bang", "st*r", "wh?t", "[set]", "back\\slash", "é", "d/x", "tab\t",
    "cr\r", "new\nline", os.fsdecode(b"\xff"), "x\\", "\\ ",
)  # fmt: skip


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return new_repo(tmp_path / "repo")


def opened(repo: Repo) -> Repository:
    return open_repository(str(repo.path), repo.environ)


def exclude(repo: Repo) -> Path:
    return repo.path / ".git" / "info" / "exclude"


def ignored(repo: Repo, *paths: str) -> set[str]:
    for path in paths:
        repo.write(path)
    shown = repo.git("ls-files", "-o", "--exclude-standard", "-z").split("\0")
    return set(paths) - set(shown)


@pytest.mark.parametrize("prefix", ["", "sub/pro ject"])
def test_exactly_the_given_paths_are_ignored(repo: Repo, prefix: str) -> None:
    update_exclude(opened(repo), STRANGE, prefix)
    top = prefix + "/" if prefix else ""
    near = {"stXr", "what", "s", "e", "end", "deep/plain", "xd/x", "backslash", "back\\Xslash", "x", "cr", "tab"}
    all_paths = {top + path for path in (*STRANGE, *near)}
    assert ignored(repo, *all_paths) == {top + path for path in STRANGE}


def test_an_ignored_folder_hides_what_is_below(repo: Repo) -> None:
    update_exclude(opened(repo), ["models"], "")
    assert ignored(repo, "models/a", "other/models/a") == {"models/a"}


def test_a_second_time_changes_nothing(repo: Repo) -> None:
    assert update_exclude(opened(repo), ["b", "a"], "")
    before = os.stat(exclude(repo))
    assert not update_exclude(opened(repo), ["a", "b", "a"], ".")
    assert os.stat(exclude(repo)).st_mtime_ns == before.st_mtime_ns
    assert os.stat(exclude(repo)).st_ino == before.st_ino


def test_the_users_lines_stay_around_the_block(repo: Repo) -> None:
    exclude(repo).write_bytes(b"first\r\nlast \xff")
    update_exclude(opened(repo), ["a"], "")
    with exclude(repo).open("ab") as file:
        file.write(b"after\n")
    update_exclude(opened(repo), ["b"], "")
    assert exclude(repo).read_bytes() == (b'first\r\nlast \xff\n# >>> gitml "." >>>\n/b\n# <<< gitml "." <<<\nafter\n')
    update_exclude(opened(repo), [], "")
    assert exclude(repo).read_bytes() == b"first\r\nlast \xff\nafter\n"
    assert not update_exclude(opened(repo), [], "")


def test_a_missing_folder_is_made_and_the_mode_is_kept(repo: Repo) -> None:
    exclude(repo).unlink()
    exclude(repo).parent.rmdir()
    assert not update_exclude(opened(repo), [], "")
    assert update_exclude(opened(repo), ["a"], "")
    exclude(repo).chmod(0o600)
    assert update_exclude(opened(repo), ["b"], "")
    assert exclude(repo).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in exclude(repo).parent.iterdir()] == ["exclude"]


def test_a_cut_block_does_not_swallow_the_users_lines(repo: Repo) -> None:
    exclude(repo).write_bytes(b'# >>> gitml "." >>>\n/old\nmine\n')
    update_exclude(opened(repo), ["a"], "")
    assert b"mine\n" in exclude(repo).read_bytes()
    assert not update_exclude(opened(repo), ["a"], "")


def test_projects_have_blocks_of_their_own(repo: Repo) -> None:
    update_exclude(opened(repo), ["out"], "one")
    update_exclude(opened(repo), ["out"], "two")
    update_exclude(opened(repo), [], "one")
    assert ignored(repo, "one/out", "two/out") == {"two/out"}


def test_linked_worktrees_add_up_and_leave_with_their_folder(repo: Repo, tmp_path: Path) -> None:
    repo.commit()
    linked = repo.worktree(tmp_path / "linked", "-b", "other")
    update_exclude(opened(repo), ["of main"], "")
    update_exclude(opened(linked), ["of linked"], "")
    assert not update_exclude(opened(repo), ["of main"], "")
    assert ignored(repo, "of main", "of linked") == {"of main", "of linked"}
    assert ignored(linked, "of main", "of linked") == {"of main", "of linked"}
    repo.git("worktree", "remove", "--force", str(linked.path))
    assert update_exclude(opened(repo), ["of main"], "")
    assert ignored(repo, "of main", "of linked") == {"of main"}
