from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitml.git.command import Git
from gitml.git.index import Held, HeldFiles, index_stamp
from gitml.git.repository import open_repository
from gitml.model.tree import Kind
from tests.repos import Repo, new_repo

STRANGE = ("a b.txt", "line\nend", "ta\tb", ":(glob)*", "[x]*?", "#hash", "!bang", "end ", "é.txt", '"q"')
NOT_UTF8 = os.fsdecode(b"\xff\xfe.bin")
ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["sha1", "sha256"])
def repo(tmp_path: Path, request: pytest.FixtureRequest) -> Repo:
    return new_repo(tmp_path / "repo", f"--object-format={request.param}")


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
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


def held(repo: Repo, prefix: str = "") -> HeldFiles:
    return HeldFiles(git_of(repo), prefix)


def test_an_empty_repository_holds_nothing(repo: Repo) -> None:
    files = held(repo)
    assert (dict(files.tracked), files.held_under("."), files.is_dir("a")) == ({}, [], False)


def test_tells_kinds_and_object_names(repo: Repo) -> None:
    repo.write("file", "x")
    repo.write("tool", "x", executable=True)
    (repo.path / "link").symlink_to("file")
    repo.commit()
    oid = repo.git("rev-parse", "HEAD:file")
    link = repo.git("rev-parse", "HEAD:link")
    assert dict(held(repo).tracked) == {
        "file": Held(Kind.FILE, oid),
        "link": Held(Kind.SYMLINK, link),
        "tool": Held(Kind.EXECUTABLE, oid),
    }


def test_a_submodule_is_a_folder_named_by_its_commit(repo: Repo) -> None:
    library = new_repo(repo.path / "lib", f"--object-format={repo.git('rev-parse', '--show-object-format')}")
    commit = library.commit()
    repo.git("-c", "advice.addEmbeddedRepo=false", "add", "lib")
    entry = held(repo).tracked["lib"]
    assert entry == Held(Kind.DIRECTORY, commit)
    assert entry.is_submodule


def test_names_of_any_bytes_survive(repo: Repo) -> None:
    names = {*STRANGE, NOT_UTF8, "d/" + NOT_UTF8}
    for name in names:
        repo.write(name)
    assert set(held(repo).would_add()) == names
    repo.commit()
    files = held(repo)
    assert set(files.tracked) == names
    assert files.held_under(".") == sorted(names)
    assert files.held_under("d") == ["d/" + NOT_UTF8]


def test_a_project_in_a_subfolder_sees_its_own_paths(repo: Repo) -> None:
    for name in ("p/a", "p/q/b", "p2/c", "top", ".gitattributes", "p/.gitattributes"):
        repo.write(name)
    repo.commit()
    files = held(repo, "p")
    assert set(files.tracked) == {"a", "q/b", ".gitattributes"}
    assert files.attributes_above == {".gitattributes"}
    assert files.in_worktree("q/b") == "p/q/b"
    assert files.in_worktree(".") == "p"


def test_folders_are_ranges_that_neighbours_do_not_enter(repo: Repo) -> None:
    for name in ("a-b", "a.txt", "a/x", "a/y/z", "a0", "ab/x"):
        repo.write(name)
    repo.commit()
    files = held(repo)
    assert files.held_under("a") == ["a/x", "a/y/z"]
    assert files.held_under("a/y") == ["a/y/z"]
    assert files.is_dir("a")
    assert files.is_dir("a/y")
    assert not files.is_dir("a.txt")
    assert not files.is_held("a")
    assert files.is_held("a0")


def test_a_conflicted_path_is_named_and_shows_ours(repo: Repo) -> None:
    repo.write("f", "base\n")
    repo.write("gone", "base\n")
    repo.commit()
    repo.git("checkout", "-q", "-b", "other")
    repo.write("f", "theirs\n")
    repo.write("gone", "theirs\n")
    repo.commit()
    repo.git("checkout", "-q", "main")
    repo.write("f", "ours\n")
    repo.git("rm", "-q", "gone")
    repo.commit()
    with pytest.raises(AssertionError):
        repo.git("merge", "other")
    files = held(repo)
    assert files.conflicted == {"f", "gone"}
    assert files.tracked["f"].oid == repo.git("rev-parse", "HEAD:f")
    assert files.tracked["gone"].oid == repo.git("rev-parse", "other:gone")


def test_paths_left_out_by_a_sparse_checkout_are_named(repo: Repo) -> None:
    repo.write("in/a")
    repo.write("out/b")
    repo.commit()
    repo.git("sparse-checkout", "set", "in")
    files = held(repo)
    assert set(files.tracked) == {"in/a", "out/b"}
    assert files.skipped == {"out/b"}


def test_untracked_files_are_listed_without_ignored_ones_and_other_repositories(repo: Repo) -> None:
    repo.write(".gitignore", "*.log\n!keep.log\n")
    repo.write("p/new")
    repo.write("p/x.log")
    repo.write("p/keep.log")
    repo.write("p/nested/file")
    new_repo(repo.path / "p" / "nested")
    assert held(repo).would_add("p") == ("p/keep.log", "p/new")
    assert held(repo, "p").would_add() == ("keep.log", "new")


def test_ignored_paths_are_told_in_one_batch(repo: Repo, processes: list[str]) -> None:
    repo.write(".gitignore", "*.log\n!keep.log\nout/\n/:odd\n")
    repo.write("tracked.log")
    repo.git("add", "-f", ".gitignore", "tracked.log")
    files = held(repo)
    asked = ["a.log", "keep.log", "out/x", "tracked.log", "new.py", ":odd", ":(top)", *STRANGE, NOT_UTF8 + ".log", "."]
    assert files.ignored(asked) == {"a.log", "out/x", ":odd", NOT_UTF8 + ".log"}
    assert files.ignored(["a.log", "new.py"]) == {"a.log"}
    assert processes == ["ls-files", "check-ignore"]


def test_ignored_in_a_project_of_a_subfolder(repo: Repo) -> None:
    repo.write(".gitignore", "/p/out\n")
    assert held(repo, "p").ignored(["out", "in"]) == {"out"}


def test_what_is_tracked_inside_an_ignored_folder_is_not_ignored(repo: Repo) -> None:
    repo.write(".gitignore", "out/\n")
    repo.write("out/kept")
    repo.git("add", "-f", "out/kept", ".gitignore")
    assert held(repo).ignored(["out", "out/kept", "out/new"]) == {"out/new"}


def test_an_ignore_file_that_a_sparse_checkout_left_out_still_counts(repo: Repo) -> None:
    repo.write("in/a")
    repo.write("out/.gitignore", "*.log\n")
    repo.commit()
    repo.git("sparse-checkout", "set", "in")
    assert held(repo).ignored(["out/x.log", "out/x.py"]) == {"out/x.log"}


def test_what_git_could_not_add_spoils_no_batch(repo: Repo) -> None:
    repo.write(".gitignore", "*.log\n")
    repo.write("real/x")
    (repo.path / "link").symlink_to("real")
    (repo.path / "old").symlink_to("real")
    repo.git("add", "link")
    new_repo(repo.path / "nested")
    assert held(repo).ignored(["link/x", "old/x", "nested/x", "real/x", "a.log"]) == {
        "link/x",
        "old/x",
        "nested/x",
        "a.log",
    }


def test_queries_leave_no_trace(repo: Repo) -> None:
    repo.write("a")
    repo.commit()
    os.utime(repo.path / "a", (1, 1))
    before = (repo.path / ".git" / "index").read_bytes()
    held(repo).ignored(["b"])
    assert (repo.path / ".git" / "index").read_bytes() == before


def test_the_stamp_stands_still_while_nothing_changes(repo: Repo, processes: list[str]) -> None:
    repo.write("a")
    repo.commit()
    git = git_of(repo)
    stamp = index_stamp(git, ["p"])
    repo.write("untracked")
    assert index_stamp(git, ["p"]) == stamp
    assert processes == []


@pytest.mark.parametrize(
    "path",
    [".gitignore", "p/.gitignore", ".git/info/exclude", "../home/.config/git/ignore", "../home/other", "../home/inc"],
)
def test_the_stamp_moves_with_every_ignore_file(repo: Repo, path: str) -> None:
    repo.git("config", "--global", "core.excludesFile", "~/other")
    repo.git("config", "--global", "includeIf.gitdir:/[x]/.path", "inc")
    git = git_of(repo)
    before = index_stamp(git, ["p/q"])
    repo.write(path, "*.log\n")
    assert index_stamp(git, ["p/q"]) != before


def test_the_stamp_moves_with_the_index_even_when_its_stat_repeats(repo: Repo) -> None:
    repo.write("a", "1")
    repo.git("add", "a")
    git = git_of(repo)
    index = repo.path / ".git" / "index"
    kept = os.stat(index)
    before = index_stamp(git)
    data = bytearray(index.read_bytes())
    data[-1] ^= 1
    with index.open("r+b") as file:
        file.write(data)
    os.utime(index, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    assert index_stamp(git)[1] != before[1]


def test_a_hook_sees_the_index_that_is_being_committed(repo: Repo, tmp_path: Path) -> None:
    repo.write("a", "1\n")
    repo.write("b", "1\n")
    repo.commit()
    script = tmp_path / "hook.py"
    script.write_text(
        "import os, sys\n"
        "from gitml.git.index import HeldFiles\n"
        "from gitml.git.repository import open_repository\n"
        "files = HeldFiles(open_repository('.', os.environ).git(os.environ))\n"
        "open(sys.argv[1], 'w').write(' '.join(files.tracked[name].oid for name in ('a', 'b')))\n"
    )
    seen = tmp_path / "seen"
    call = f"'{sys.executable}' '{script}' '{seen}'"
    repo.write(".git/hooks/pre-commit", f"#!/bin/sh\nPYTHONPATH='{ROOT}' exec {call}\n", executable=True)
    repo.write("a", "2\n")
    repo.write("b", "2\n")
    repo.git("add", "b")
    repo.git("commit", "-q", "-m", "a alone", "a")
    assert seen.read_text() == repo.git("rev-parse", "HEAD:a") + " " + repo.git("rev-parse", "HEAD:b")
    assert repo.git("rev-parse", ":b") != repo.git("rev-parse", "HEAD:b")
