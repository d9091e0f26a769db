from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from gitml.git.command import Git, GitError
from gitml.git.repository import open_repository
from gitml.git.roots import (
    CommittedReader,
    Tip,
    UnreadableRootError,
    bind,
    in_index,
    refs,
    stashes,
    unfinished,
    worktrees,
)
from tests.repos import Repo, new_repo

LOCK = ".gitml/lock/a.json"


def named(number: int) -> str:
    return f"blake3:{number:064x}"


@pytest.fixture(params=["sha1", "sha256"])
def repo(tmp_path: Path, request: pytest.FixtureRequest) -> Repo:
    return new_repo(tmp_path / "repo", f"--object-format={request.param}")


def git_of(repo: Repo) -> Git:
    return open_repository(str(repo.path), repo.environ).git(repo.environ)


def digests(git: Git, tips: Iterable[Tip]) -> set[str]:
    with CommittedReader(git) as reader:
        return {digest for file in reader.files(tips) for digest in file.mentions.digests}


def numbers(found: Iterable[str]) -> set[int]:
    return {int(digest.partition(":")[2], 16) for digest in found}


def commit(repo: Repo, number: int, path: str = LOCK) -> str:
    repo.write(path, f'{{"key": "{named(number)}"}}\n')
    return repo.commit(str(number))


def test_every_ref_is_read_at_its_tip_only(repo: Repo) -> None:
    for number in range(1, 5):
        commit(repo, number)
    repo.git("branch", "old", "HEAD~1")
    repo.git("tag", "-a", "-m", "annotated", "one", "HEAD~3")
    repo.git("tag", "-a", "-m", "a tag of a tag", "two", "one")
    repo.git("tag", "-d", "one")
    repo.git("update-ref", "refs/remotes/origin/x", "HEAD")
    git = git_of(repo)
    assert numbers(digests(git, refs(git))) == {1, 3, 4}


def test_a_tag_of_a_tree_or_of_a_file_is_no_stumbling_block(repo: Repo) -> None:
    commit(repo, 1)
    repo.git("tag", "tree", "HEAD^{tree}")
    repo.git("tag", "file", f"HEAD:{LOCK}")
    git = git_of(repo)
    assert numbers(digests(git, refs(git))) == {1}


def test_locks_and_pointers_of_every_project_are_found_and_nothing_else(repo: Repo) -> None:
    places = [LOCK, ".gitml/sources/data/raw.json", "deep/er/.gitml/lock/f/i.json", "x/.gitml/lock/.hidden"]
    strange = "sub/.gitml/lock/" + os.fsdecode(b"new\nline\xff.json")
    for number, path in enumerate([*places, strange], 1):
        repo.write(path, named(number))
    for number, path in enumerate((".gitml/config.toml", "lock/a.json", "gitml/lock/a", ".gitml/other/x.json"), 10):
        repo.write(path, named(number))
    os.symlink("a.json", repo.path / ".gitml/lock/link.json")
    repo.commit()
    git = git_of(repo)
    with CommittedReader(git) as reader:
        found = {file.path: file.mentions.digests for file in reader.files(refs(git))}
    assert found == {path: frozenset([named(number)]) for number, path in enumerate([*places, strange], 1)}


def test_a_tree_that_stands_inside_and_outside_of_a_project_is_found_inside(repo: Repo) -> None:
    repo.write("a/x.json", named(1))
    repo.write(".gitml/lock/x.json", named(1))
    repo.write("z/.gitml/lock/x.json", named(1))
    repo.commit()
    git = git_of(repo)
    assert numbers(digests(git, refs(git))) == {1}


def test_files_larger_than_a_read_are_read_across_its_borders(repo: Repo) -> None:
    at = (1 << 20) - 30
    repo.write(LOCK, b"x" * at + named(7).encode() + b"y" * (1 << 20) + named(8).encode())
    commit(repo, 1, ".gitml/sources/s.json")
    git = git_of(repo)
    assert numbers(digests(git, refs(git))) == {1, 7, 8}


def test_a_thousand_locks_in_a_hundred_commits_are_read(repo: Repo) -> None:
    for number in range(1000):
        repo.write(f".gitml/lock/{number}.json", named(number))
    repo.commit()
    for number in range(30):
        commit(repo, 2000 + number)
        repo.git("branch", f"b{number}")
    git = git_of(repo)
    assert numbers(digests(git, refs(git))) == {*range(1000), *range(2000, 2030)}


def test_all_stash_entries_are_read_with_index_and_untracked_files(repo: Repo) -> None:
    commit(repo, 1)
    for number in (10, 20):
        repo.write(LOCK, named(number))
        repo.git("add", LOCK)
        repo.write(LOCK, named(number + 1))
        repo.write(".gitml/lock/untracked.json", named(number + 2))
        repo.git("stash", "-u")
    git = git_of(repo)
    assert numbers(digests(git, stashes(git))) == {1, 10, 11, 12, 20, 21, 22}


def test_the_index_is_read_at_all_stages_of_a_conflict(repo: Repo) -> None:
    commit(repo, 1)
    repo.git("checkout", "-q", "-b", "other")
    commit(repo, 2)
    repo.git("checkout", "-q", "main")
    commit(repo, 3)
    with pytest.raises(AssertionError):
        repo.git("merge", "other")
    repo.write(".gitml/sources/staged.json", named(4))
    repo.git("add", ".gitml/sources")
    git = git_of(repo)
    with CommittedReader(git) as reader:
        found = list(reader.blobs("index", in_index(git)))
    assert numbers(digest for file in found for digest in file.mentions.digests) == {1, 2, 3, 4}


def test_what_a_merge_has_fetched_and_nothing_else_names_is_read(repo: Repo) -> None:
    commit(repo, 1)
    repo.git("checkout", "-q", "-b", "other")
    commit(repo, 2)
    repo.git("checkout", "-q", "main")
    commit(repo, 3)
    with pytest.raises(AssertionError):
        repo.git("merge", "other")
    repo.git("update-ref", "-d", "refs/heads/other")
    git = git_of(repo)
    assert numbers(digests(git, unfinished(git))) == {2}


def test_a_missing_object_is_an_error_that_names_the_ref(repo: Repo) -> None:
    commit(repo, 1)
    oid = repo.git("rev-parse", f"HEAD:{LOCK}")
    (repo.path / ".git/objects" / oid[:2] / oid[2:]).unlink()
    git = git_of(repo)
    with pytest.raises(UnreadableRootError, match=f"refs/heads/main .*{oid}"):
        digests(git, refs(git))


def test_a_damaged_object_is_an_error(repo: Repo) -> None:
    commit(repo, 1)
    oid = repo.git("rev-parse", "HEAD^{tree}")
    path = repo.path / ".git/objects" / oid[:2] / oid[2:]
    path.chmod(0o644)
    path.write_bytes(b"garbage")
    git = git_of(repo)
    with pytest.raises(UnreadableRootError, match="refs/heads/main"):
        digests(git, refs(git))


@pytest.mark.parametrize("content", ["", "garbage\n", "0" * 40 + "\n", "1" * 40 + "\n"])
def test_a_broken_ref_is_an_error(repo: Repo, content: str) -> None:
    commit(repo, 1)
    (repo.path / ".git/refs/heads/broken").write_text(content)
    git = git_of(repo)
    with pytest.raises((GitError, UnreadableRootError)):
        digests(git, refs(git))


def test_a_symref_to_a_deleted_branch_is_none(repo: Repo) -> None:
    commit(repo, 1)
    repo.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/gone")
    git = git_of(repo)
    assert [tip.where for tip in refs(git)] == ["refs/heads/main"]


def test_worktrees_are_listed_with_their_heads(repo: Repo, tmp_path: Path) -> None:
    first = commit(repo, 1)
    linked = repo.worktree(tmp_path / "with\nnewline", "--detach")
    second = commit(linked, 2)
    for git in (git_of(repo), git_of(linked), bind(git_of(repo).common_dir, repo.environ)):
        found = worktrees(git)
        assert [(one.git.worktree, one.head) for one in found] == [(str(repo.path), first), (str(linked.path), second)]


def test_a_git_that_cannot_end_lines_with_nul_lists_worktrees_as_well(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(repo, 1)
    linked = repo.worktree(tmp_path / "linked")
    run = Git.run

    def old(self: Git, *args: str, **rest: object) -> bytes:
        if args[:2] == ("worktree", "list") and "-z" in args:
            raise GitError("worktree", 129, "error: unknown switch `z'")
        return run(self, *args, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Git, "run", old)
    assert [one.git.worktree for one in worktrees(git_of(repo))] == [str(repo.path), str(linked.path)]


def test_a_repository_without_commits_has_a_worktree_without_head(repo: Repo) -> None:
    (found,) = worktrees(git_of(repo))
    assert found.head is None


def test_a_bare_repository_has_only_linked_worktrees(repo: Repo, tmp_path: Path) -> None:
    commit(repo, 1)
    repo.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    linked = Repo(tmp_path / "bare.git", repo.environ).worktree(tmp_path / "linked")
    assert [one.git.worktree for one in worktrees(git_of(linked))] == [str(linked.path)]


def test_the_main_worktree_of_a_submodule_is_found(repo: Repo, tmp_path: Path) -> None:
    commit(repo, 1)
    format = repo.git("rev-parse", "--show-object-format")
    outer = new_repo(tmp_path / "outer", f"--object-format={format}", environ=repo.environ)
    outer.git("-c", "protocol.file.allow=always", "submodule", "add", str(repo.path), "sub")
    inner = Repo(outer.path / "sub", repo.environ)
    linked = inner.worktree(tmp_path / "linked")
    for git in (git_of(inner), git_of(linked)):
        assert [one.git.worktree for one in worktrees(git)] == [str(inner.path), str(linked.path)]


def test_a_worktree_that_is_gone_is_an_error_until_it_is_pruned(repo: Repo, tmp_path: Path) -> None:
    commit(repo, 1)
    linked = repo.worktree(tmp_path / "linked")
    shutil.rmtree(linked.path)
    with pytest.raises(UnreadableRootError, match="linked is gone"):
        worktrees(git_of(repo))
    repo.git("worktree", "prune")
    assert len(worktrees(git_of(repo))) == 1


def test_another_repository_in_the_place_of_a_worktree_is_an_error(repo: Repo, tmp_path: Path) -> None:
    commit(repo, 1)
    linked = repo.worktree(tmp_path / "linked")
    shutil.rmtree(linked.path)
    new_repo(linked.path, environ=repo.environ)
    with pytest.raises(UnreadableRootError):
        worktrees(git_of(repo))


def test_binding_to_what_is_no_repository_is_an_error(tmp_path: Path, repo: Repo) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for path in ("gone", "empty", "file"):
        with pytest.raises(UnreadableRootError):
            bind(str(tmp_path / path), repo.environ)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_binding_to_a_repository_of_another_user_is_an_error_unless_it_is_trusted(repo: Repo) -> None:
    common_dir = git_of(repo).common_dir
    os.chown(common_dir, 4242, 4242)
    with pytest.raises(UnreadableRootError, match="dubious ownership"):
        bind(common_dir, repo.environ)
    repo.git("config", "--global", "safe.directory", common_dir)
    assert bind(common_dir, repo.environ).common_dir == common_dir
