from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitml.git.command import Git, GitError
from gitml.git.head import Head, head
from gitml.git.repository import open_repository
from gitml.git.snapshot import snapshot
from tests.repos import Repo, new_repo


@pytest.fixture(params=["sha1", "sha256"])
def repo(tmp_path: Path, request: pytest.FixtureRequest) -> Repo:
    made = new_repo(tmp_path / "repo", f"--object-format={request.param}")
    made.write("a", "1\n")
    made.write("d/b", "1\n")
    made.commit("first")
    return made


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The Git subcommands that were run."""
    seen: list[str] = []
    run = Git.run

    def spy(self: Git, *args: str, **rest: object) -> bytes:
        seen.append(args[0])
        return run(self, *args, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Git, "run", spy)
    return seen


def git_of(repo: Repo) -> Git:
    return open_repository(str(repo.path), repo.environ).git(repo.environ)


def take(repo: Repo, *include: str, exclude: tuple[str, ...] = ()) -> str:
    """Take a snapshot and check that nothing of the user's moved."""

    def state() -> tuple[object, ...]:
        git_dir = Path(git_of(repo).git_dir)
        index = git_dir / "index"
        return (
            index.read_bytes() if index.exists() else None,
            (git_dir / "HEAD").read_bytes(),
            repo.git("for-each-ref", "refs/heads"),
            sorted(p for p in repo.path.rglob("*") if ".git" not in p.parts),
            list((git_dir / "gitml" / "tmp").glob("*")),
        )

    before = state()
    oid = snapshot(git_of(repo), include=include, exclude_prefixes=exclude, message="step prepare")
    assert state() == before
    return oid


def contents(repo: Repo, commit: str) -> dict[str, str]:
    names = repo.git("ls-tree", "-r", "-z", "--name-only", commit).split("\0")[:-1]
    return {name: repo.git("show", f"{commit}:{name}") for name in names}


def test_a_clean_worktree_is_head_and_costs_one_process(repo: Repo, processes: list[str]) -> None:
    os.utime(repo.path / "a", (1, 1))
    assert take(repo) == repo.git("rev-parse", "HEAD")
    assert processes == ["status"]


def test_a_dirty_worktree_is_a_commit_on_top_of_head(repo: Repo) -> None:
    repo.write("a", "2\n")
    (repo.path / "d/b").unlink()
    repo.write("new.py", "x\n")
    repo.write("unasked.py", "x\n")
    oid = take(repo, "new.py")
    assert contents(repo, oid) == {"a": "2", "new.py": "x"}
    assert repo.git("rev-parse", f"{oid}^") == repo.git("rev-parse", "HEAD")
    assert repo.git("rev-parse", f"refs/gitml/snapshots/{oid}") == oid
    shown = repo.git("show", "-s", "--format=%an <%ae>|%cn <%ce>|%ai|%ci|%s", oid)
    who, date = "gitml <gitml@localhost>", "2023-11-14 23:13:20 +0100"
    assert shown == f"{who}|{who}|{date}|{date}|step prepare"


def test_equal_trees_give_equal_ids(repo: Repo) -> None:
    repo.write("a", "2\n")
    first = take(repo)
    os.utime(repo.path / "a", (1, 1))
    repo.environ["GIT_COMMITTER_DATE"] = "@1800000000 +0000"
    repo.environ["GIT_AUTHOR_NAME"] = "Bob"
    assert take(repo) == first
    assert len(repo.git("for-each-ref", "refs/gitml").splitlines()) == 1


def test_what_is_only_staged_or_staged_and_taken_back_counts_as_it_stands(repo: Repo) -> None:
    repo.write("a", "2\n")
    repo.git("add", "a")
    assert contents(repo, take(repo))["a"] == "2"
    repo.write("a", "1\n")
    assert take(repo) == repo.git("rev-parse", "HEAD")


def test_excluded_folders_stay_as_head_has_them(repo: Repo) -> None:
    repo.write(".gitml/lock/old.json", "1\n")
    repo.write(".gitml/lock/gone.json", "1\n")
    repo.commit()
    repo.write(".gitml/lock/old.json", "2\n")
    repo.write(".gitml/lock/new.json", "2\n")
    repo.git("add", ".gitml")
    repo.git("rm", "-q", "--cached", ".gitml/lock/gone.json")
    repo.write(".gitml/lock/old.json", "3\n")
    lock = (".gitml/lock",)
    assert take(repo, ".gitml/lock/new.json", exclude=lock) == repo.git("rev-parse", "HEAD")
    repo.write("a", "2\n")
    assert contents(repo, take(repo, exclude=lock)) == {
        ".gitml/lock/gone.json": "1",
        ".gitml/lock/old.json": "1",
        "a": "2",
        "d/b": "1",
    }


def test_before_the_first_commit_there_is_no_parent(tmp_path: Path) -> None:
    repo = new_repo(tmp_path / "empty")
    repo.write("a", "1\n")
    repo.write("lock/x", "1\n")
    repo.git("add", ".")
    repo.write("a", "2\n")
    oid = take(repo, exclude=("lock",))
    assert contents(repo, oid) == {"a": "2"}
    assert repo.git("rev-list", "--count", oid) == "1"
    assert take(repo, exclude=("lock",)) == oid


def test_on_a_detached_head_and_in_a_linked_worktree(repo: Repo, tmp_path: Path) -> None:
    linked = repo.worktree(tmp_path / "linked", "--detach")
    linked.write("a", "2\n")
    oid = take(linked)
    assert contents(linked, oid)["a"] == "2"
    assert take(repo) == repo.git("rev-parse", "HEAD")


def test_a_conflict_is_taken_as_it_stands(repo: Repo) -> None:
    repo.git("checkout", "-q", "-b", "other")
    repo.write("a", "theirs\n")
    repo.write("lock/x", "theirs\n")
    repo.write("d/b", "theirs\n")
    repo.commit()
    repo.git("checkout", "-q", "main")
    repo.write("a", "ours\n")
    repo.write("lock/x", "ours\n")
    repo.write("d/b", "ours\n")
    repo.commit()
    with pytest.raises(AssertionError):
        repo.git("merge", "other")
    repo.write("a", "half done\n")
    (repo.path / "d/b").unlink()
    oid = take(repo, exclude=("lock",))
    assert contents(repo, oid) == {"a": "half done", "lock/x": "ours"}


def test_a_submodule_is_taken_at_its_commit(repo: Repo) -> None:
    library = new_repo(repo.path / "lib", f"--object-format={repo.git('rev-parse', '--show-object-format')}")
    library.commit()
    repo.git("-c", "advice.addEmbeddedRepo=false", "add", "lib")
    repo.git("commit", "-q", "-m", "lib")
    library.write("untracked")
    assert take(repo) == repo.git("rev-parse", "HEAD")
    newer = library.commit()
    assert repo.git("rev-parse", f"{take(repo)}:lib") == newer


def test_a_file_that_is_only_intended_to_be_added_is_in(repo: Repo) -> None:
    repo.write("new", "x\n")
    repo.git("add", "-N", "new")
    assert contents(repo, take(repo))["new"] == "x"


def test_a_file_in_place_of_a_folder_and_the_reverse(repo: Repo) -> None:
    (repo.path / "d/b").unlink()
    (repo.path / "d").rmdir()
    (repo.path / "a").unlink()
    repo.write("d", "file\n")
    repo.write("a/x", "folder\n")
    assert contents(repo, take(repo, "a/x", "d")) == {"a/x": "folder", "d": "file"}


def test_a_change_right_after_the_index_was_written_is_seen(repo: Repo) -> None:
    """The same size and the same times as in the index: only the index's own time tells Git to look inside."""
    index = repo.path / ".git" / "index"
    repo.git("config", "core.trustctime", "false")
    repo.git("config", "core.checkStat", "minimal")
    stamp = 1_600_000_000_000_000_000
    os.utime(repo.path / "a", ns=(stamp, stamp))
    repo.git("update-index", "--refresh")
    os.utime(index, ns=(stamp, stamp))
    repo.write("a", "2\n")
    os.utime(repo.path / "a", ns=(stamp, stamp))
    repo.write("new")
    assert contents(repo, take(repo, "new"))["a"] == "2"


def test_a_sparse_checkout_keeps_what_it_left_out(repo: Repo) -> None:
    repo.write("e/c", "1\n")
    repo.commit()
    repo.git("sparse-checkout", "set", "d")
    assert take(repo) == repo.git("rev-parse", "HEAD")
    repo.write("d/b", "2\n")
    assert contents(repo, take(repo)) == {"a": "1", "d/b": "2", "e/c": "1"}


@pytest.mark.parametrize(
    "setting",
    [
        "core.splitIndex=true",
        "core.untrackedCache=true",
        "core.fsmonitor=false",
        "index.sparse=true",
        "index.version=4",
    ],
)
def test_any_kind_of_index_is_understood(repo: Repo, setting: str) -> None:
    repo.git("config", *setting.split("="))
    repo.write("c", "1\n")
    repo.commit()
    repo.write("a", "2\n")
    shared = sorted((repo.path / ".git").glob("sharedindex.*"))
    assert contents(repo, take(repo)) == {"a": "2", "c": "1", "d/b": "1"}
    assert sorted((repo.path / ".git").glob("sharedindex.*")) == shared


def test_neither_signs_nor_runs_hooks_nor_writes_reflogs(repo: Repo, tmp_path: Path) -> None:
    repo.git("config", "commit.gpgSign", "true")
    repo.git("config", "gpg.program", "false")
    repo.git("config", "core.logAllRefUpdates", "always")
    for hook in ("pre-commit", "post-commit", "post-index-change", "reference-transaction", "commit-msg"):
        repo.write(f".git/hooks/{hook}", f"#!/bin/sh\necho {hook} >>'{tmp_path}/ran'\nexit 1\n", executable=True)
    repo.write("a", "2\n")
    oid = take(repo)
    assert contents(repo, oid)["a"] == "2"
    assert not (tmp_path / "ran").exists()
    assert not (repo.path / ".git/logs/refs/gitml").exists()


def test_stores_what_git_would_store(repo: Repo) -> None:
    repo.git("config", "core.fileMode", "false")
    repo.git("config", "core.safecrlf", "true")
    repo.git("config", "filter.up.clean", "tr a-z A-Z")
    repo.write(".gitattributes", "*.txt text\n*.up filter=up\n")
    repo.write("t.txt", "x\r\n", executable=True)
    repo.write("u.up", "abc\n")
    oid = take(repo, "t.txt", "u.up", ".gitattributes")
    found = contents(repo, oid)
    assert (found["t.txt"], found["u.up"]) == ("x", "ABC")
    assert repo.git("ls-tree", oid, "t.txt").startswith("100644 ")


def test_names_of_any_bytes_are_taken(repo: Repo) -> None:
    names = {"a b", "line\nend", ":(top)x", "*", os.fsdecode(b"\xff"), '"q"'}
    for name in names:
        repo.write(name, "1\n")
    assert set(contents(repo, take(repo, *names))) == names | {"a", "d/b"}
    repo.commit()
    for name in names:
        repo.write(name, "2\n")
    found = contents(repo, take(repo))
    assert {found[name] for name in names} == {"2"}


def test_a_filter_that_fails_fails_the_snapshot(repo: Repo) -> None:
    repo.git("config", "filter.no.clean", "false")
    repo.git("config", "filter.no.required", "true")
    repo.write(".gitattributes", "x filter=no\n")
    repo.write("x", "1")
    with pytest.raises(GitError, match="clean filter 'no' failed"):
        snapshot(git_of(repo), include=["x"])


def test_needs_no_identity(repo: Repo) -> None:
    for name in [name for name in repo.environ if name.startswith(("GIT_AUTHOR", "GIT_COMMITTER"))]:
        del repo.environ[name]
    repo.git("config", "user.useConfigOnly", "true")
    repo.write("a", "2\n")
    assert contents(repo, take(repo))["a"] == "2"


def test_head_is_read_without_a_process(repo: Repo, tmp_path: Path, processes: list[str]) -> None:
    oid = repo.git("rev-parse", "HEAD")
    linked = repo.worktree(tmp_path / "linked", "-b", "feature/x")
    assert head(git_of(repo)) == Head(oid, "main")
    assert head(git_of(linked)) == Head(oid, "feature/x")
    repo.git("pack-refs", "--all")
    assert head(git_of(linked)) == Head(oid, "feature/x")
    repo.git("checkout", "-q", "--detach")
    assert head(git_of(repo)) == Head(oid, None)
    repo.git("checkout", "-q", "--orphan", "empty")
    assert head(git_of(repo)) == Head(None, "empty")
    assert processes == []


def test_head_that_is_not_plain_is_left_to_git(repo: Repo, processes: list[str]) -> None:
    oid = repo.git("rev-parse", "HEAD")
    repo.git("symbolic-ref", "refs/heads/alias", "refs/heads/main")
    repo.git("symbolic-ref", "HEAD", "refs/heads/alias")
    assert head(git_of(repo)).oid == oid
    assert processes == ["rev-parse", "symbolic-ref"]
