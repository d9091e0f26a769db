from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitml.errors import UsageError
from gitml.git import command
from gitml.git.command import GitError
from gitml.git.repository import Repository, open_repository
from tests.repos import Repo, isolated_environ, new_repo


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return new_repo(tmp_path / "repo")


@pytest.fixture
def no_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any Git process fails the test: what passes was read from files."""

    def refuse(args: tuple[str, ...], **_: object) -> bytes:
        pytest.fail(f"git {args} was started")

    monkeypatch.setattr("gitml.git.repository.run_git", refuse)


def asked(repo: Repo, folder: Path) -> Repository:
    """Open it by asking Git: an empty ceiling changes nothing but makes the case unusual."""
    return open_repository(str(folder), {**repo.environ, "GIT_CEILING_DIRECTORIES": ""})


@pytest.mark.usefixtures("no_git")
def test_finds_the_repository_from_a_deep_folder(repo: Repo) -> None:
    deep = repo.path / "a" / "b"
    deep.mkdir(parents=True)
    git_dir = str(repo.path / ".git")
    expected = Repository(
        worktree=str(repo.path), git_dir=git_dir, common_dir=git_dir, index_file=os.path.join(git_dir, "index")
    )
    assert open_repository(str(deep), repo.environ) == expected


@pytest.mark.usefixtures("no_git")
def test_follows_a_symlink_into_the_worktree(repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(repo.path)
    assert open_repository(str(tmp_path / "link"), repo.environ).worktree == str(repo.path)


def test_reads_a_linked_worktree_as_git_does(repo: Repo, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    repo.commit()
    linked = repo.worktree(tmp_path / "linked", "-b", "other")
    by_git = asked(linked, linked.path)
    request.getfixturevalue("no_git")
    found = open_repository(str(linked.path), repo.environ)
    assert found == by_git
    assert found.git_dir == str(repo.path / ".git" / "worktrees" / "linked")
    assert found.common_dir == str(repo.path / ".git")


def test_reads_a_linked_worktree_of_a_bare_repository(repo: Repo, tmp_path: Path) -> None:
    repo.commit()
    repo.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    bare = Repo(tmp_path / "bare.git", repo.environ)
    linked = bare.worktree(tmp_path / "linked", "main")
    assert open_repository(str(linked.path), repo.environ) == asked(linked, linked.path)


def test_reads_a_submodule_as_git_does(repo: Repo, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    library = new_repo(tmp_path / "library")
    library.commit()
    repo.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library.path), "lib")
    by_git = asked(repo, repo.path / "lib")
    request.getfixturevalue("no_git")
    assert open_repository(str(repo.path / "lib"), repo.environ) == by_git
    assert by_git.git_dir == str(repo.path / ".git" / "modules" / "lib")


def test_a_path_with_a_newline_is_asked_in_pieces(tmp_path: Path) -> None:
    repo = new_repo(tmp_path / "new\nline")
    by_git = asked(repo, repo.path)
    assert by_git.worktree == str(repo.path)
    assert open_repository(str(repo.path), repo.environ) == by_git


def test_leaves_a_moved_worktree_to_git(repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    repo.git("config", "core.worktree", str(tmp_path / "elsewhere"))
    with pytest.raises(UsageError, match="not inside a worktree"):
        open_repository(str(repo.path), repo.environ)


def test_takes_the_repository_that_variables_name(repo: Repo, tmp_path: Path) -> None:
    other = new_repo(tmp_path / "other")
    environ = {**repo.environ, "GIT_DIR": str(repo.path / ".git"), "GIT_WORK_TREE": str(repo.path)}
    assert open_repository(str(repo.path), environ).worktree == str(repo.path)
    with pytest.raises(UsageError, match="not inside a worktree"):
        open_repository(str(other.path), environ)


def test_a_folder_outside_any_repository_says_how_to_start(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not in a Git repository") as caught:
        open_repository(str(tmp_path), isolated_environ(tmp_path / "home"))
    assert caught.value.hint == "git init"


def test_refuses_a_bare_repository(tmp_path: Path) -> None:
    bare = new_repo(tmp_path / "bare.git", "--bare")
    with pytest.raises(UsageError, match="needs a worktree"):
        open_repository(str(bare.path), bare.environ)


def test_refuses_the_git_directory_itself(repo: Repo) -> None:
    with pytest.raises(UsageError, match="not inside a worktree"):
        open_repository(str(repo.path / ".git" / "refs"), repo.environ)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_repository_of_another_user_names_the_command_that_trusts_it(repo: Repo) -> None:
    os.chown(repo.path, 4242, 4242)
    with pytest.raises(UsageError, match="does not trust") as caught:
        open_repository(str(repo.path), repo.environ)
    assert caught.value.hint == f"git config --global --add safe.directory {repo.path}"
    repo.git("config", "--global", "--add", "safe.directory", str(repo.path))
    assert open_repository(str(repo.path), repo.environ).worktree == str(repo.path)


def test_reads_the_index_of_a_commit_in_progress_but_no_foreign_one(repo: Repo, tmp_path: Path) -> None:
    git_dir = repo.path / ".git"
    inside = open_repository(str(repo.path), {**repo.environ, "GIT_INDEX_FILE": ".git/next-index-1.lock"})
    assert inside.index_file == str(git_dir / "next-index-1.lock")
    outside = open_repository(str(repo.path), {**repo.environ, "GIT_INDEX_FILE": str(tmp_path / "index")})
    assert outside.index_file == str(git_dir / "index")


def test_the_variables_of_a_hook_do_not_reach_git(repo: Repo, tmp_path: Path) -> None:
    other = new_repo(tmp_path / "other")
    repo.write("a.txt")
    repo.git("add", "a.txt")
    of_hook = {"GIT_DIR": str(other.path / ".git"), "GIT_INDEX_FILE": "nowhere", "GIT_PREFIX": "x/"}
    git = open_repository(str(repo.path), repo.environ).git({**repo.environ, **of_hook})
    assert git.run("ls-files") == b"a.txt\n"


def test_an_error_carries_what_git_died_of(repo: Repo) -> None:
    git = open_repository(str(repo.path), repo.environ).git({**repo.environ, "LANG": "de_DE.UTF-8"})
    with pytest.raises(GitError, match=r"^git rev-parse failed: Needed a single revision$") as caught:
        git.run("-c", "a.b=c", "rev-parse", "--verify", "nothing")
    assert (caught.value.command, caught.value.exit_status) == ("rev-parse", 128)


def test_git_that_is_not_installed_is_said_plainly(repo: Repo) -> None:
    git = open_repository(str(repo.path), repo.environ).git({**repo.environ, "PATH": "/nonexistent"})
    with pytest.raises(UsageError, match="git is not installed"):
        git.run("status")


def test_a_folder_that_vanished_is_not_mistaken_for_a_missing_git(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is gone"):
        command.run_git(("version",), cwd=str(tmp_path / "gone"), environ=dict(os.environ))
