from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitml.git.command import GitError
from gitml.git.content import FileModes, conversion_possible, converted, file_modes
from gitml.git.index import HeldFiles
from gitml.git.repository import open_repository
from gitml.git.settings import read_settings
from tests.repos import Repo, new_repo

POINTER = """\
import hashlib, sys
data = sys.stdin.buffer.read()
print("version https://git-lfs.github.com/spec/v1")
print("oid sha256:" + hashlib.sha256(data).hexdigest())
print("size", len(data))
"""


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return new_repo(tmp_path / "repo")


def held(repo: Repo, prefix: str = "") -> HeldFiles:
    return HeldFiles(open_repository(str(repo.path), repo.environ).git(repo.environ), prefix)


def stored(repo: Repo, *paths: str) -> dict[str, bytes]:
    """What gitml says that Git stores, checked against what Git then does store."""
    found = converted(held(repo), paths)
    repo.git("add", "--", *paths)
    for path in paths:
        raw = (repo.path / path).read_bytes()
        assert repo.raw("cat-file", "blob", f":{path}") == found.get(path, raw), path
    return found


def add_filter(repo: Repo, name: str, command: str) -> None:
    repo.git("config", f"filter.{name}.clean", command)
    repo.git("config", f"filter.{name}.required", "true")


def test_without_attributes_nothing_is_converted(repo: Repo) -> None:
    repo.write("a.txt", "a\r\nb\r\n")
    assert not conversion_possible(held(repo), ["a.txt"])
    assert stored(repo, "a.txt") == {}


def test_crlf_becomes_lf_where_attributes_say_text(repo: Repo) -> None:
    repo.write(".gitattributes", "*.txt text\n*.bat eol=crlf\n*.old crlf\n*.bin -text\n")
    for name in ("a.txt", "b.bat", "c.old", "d.bin"):
        repo.write(name, "a\r\nb\r\n")
    repo.write("lf.txt", "a\nb\n")
    assert conversion_possible(held(repo), ["a.txt"])
    assert stored(repo, "a.txt", "b.bat", "c.old", "d.bin", "lf.txt") == dict.fromkeys(
        ("a.txt", "b.bat", "c.old"), b"a\nb\n"
    )


@pytest.mark.parametrize("value", ["true", "input"])
def test_autocrlf_converts_text_but_not_binaries(repo: Repo, value: str) -> None:
    repo.git("config", "--global", "core.autocrlf", value)
    repo.write("a.txt", "a\r\nb\r\n")
    repo.write("b.bin", b"\0\r\n")
    assert conversion_possible(held(repo), ["a.txt"])
    assert stored(repo, "a.txt", "b.bin") == {"a.txt": b"a\nb\n", "b.bin": b"\0\r\n"}


def test_auto_leaves_a_file_alone_that_is_stored_with_crlf(repo: Repo) -> None:
    repo.write("a.txt", "a\r\n")
    repo.commit()
    repo.git("config", "core.autocrlf", "input")
    repo.write("a.txt", "a\r\nlonger\r\n")
    assert stored(repo, "a.txt") == {"a.txt": b"a\r\nlonger\r\n"}


def test_a_file_that_the_index_vouches_for_is_what_the_commit_holds(repo: Repo) -> None:
    repo.write("a.txt", "a\r\n")
    os.utime(repo.path / "a.txt", (1_000_000_000, 1_000_000_000))
    repo.git("add", "a.txt")
    repo.commit()
    repo.write(".git/info/attributes", "*.txt text\n")
    assert repo.git("status", "--porcelain") == ""
    assert converted(held(repo), ["a.txt"]) == {"a.txt": b"a\r\n"}


def test_safecrlf_does_not_stop_the_question(repo: Repo) -> None:
    repo.git("config", "core.safecrlf", "true")
    repo.git("config", "core.autocrlf", "input")
    repo.write("a.txt", "a\r\n")
    assert converted(held(repo), ["a.txt"]) == {"a.txt": b"a\n"}


def test_ident_is_collapsed(repo: Repo) -> None:
    repo.write(".gitattributes", "*.c ident\n")
    repo.write("a.c", "$Id: 0123456789 $\n")
    assert stored(repo, "a.c") == {"a.c": b"$Id$\n"}


def test_another_encoding_is_stored_as_utf_8(repo: Repo) -> None:
    repo.write(".gitattributes", "*.csv working-tree-encoding=UTF-16LE\n")
    repo.write("a.csv", "é\n".encode("utf-16-le"))
    assert stored(repo, "a.csv") == {"a.csv": "é\n".encode()}


def test_a_clean_filter_decides(repo: Repo) -> None:
    add_filter(repo, "upper", "tr a-z A-Z")
    repo.write(".gitattributes", "*.x filter=upper\n")
    repo.write("a.x", "abc")
    repo.write("d/b.x", "abc")
    repo.write("c.y", "abc")
    assert stored(repo, "a.x", "d/b.x", "c.y") == {"a.x": b"ABC", "d/b.x": b"ABC"}


def test_a_large_file_is_its_pointer(repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "pointer.py").write_text(POINTER)
    add_filter(repo, "lfs", f"python3 '{tmp_path}/pointer.py'")
    repo.write(".gitattributes", "*.pt filter=lfs diff=lfs merge=lfs -text\n")
    repo.write("model.pt", b"\0" * 300_000)
    (pointer,) = stored(repo, "model.pt").values()
    assert pointer.startswith(b"version https://git-lfs.github.com/spec/v1\noid sha256:")
    assert pointer.endswith(b"\nsize 300000\n")


def test_a_required_filter_that_is_missing_is_an_error_with_a_way_out(repo: Repo) -> None:
    add_filter(repo, "lfs", "no-such-program clean")
    repo.write(".gitattributes", "*.pt filter=lfs\n")
    repo.write("model.pt", "x")
    with pytest.raises(GitError, match=r"model\.pt: clean filter 'lfs' failed") as caught:
        converted(held(repo), ["model.pt"])
    assert "git lfs install" in str(caught.value.hint)


def test_an_optional_filter_that_is_not_configured_changes_nothing(repo: Repo) -> None:
    repo.write(".gitattributes", "*.pt filter=lfs\n")
    repo.write("model.pt", "x")
    assert stored(repo, "model.pt") == {"model.pt": b"x"}


def test_strange_names_and_a_project_in_a_subfolder(repo: Repo) -> None:
    name = os.fsdecode(b"li\nne \xff.txt")
    repo.write(".gitattributes", "*.txt text\n")
    repo.write("p/" + name, "a\r\n")
    repo.write("p/:x.txt", "b\r\n")
    assert converted(held(repo, "p"), [name, ":x.txt", "missing.txt"]) == {name: b"a\n", ":x.txt": b"b\n"}


def test_a_repository_in_a_folder_with_a_colon(tmp_path: Path) -> None:
    repo = new_repo(tmp_path / 'a:b"c')
    repo.write(".gitattributes", "*.txt text\n")
    repo.write("a.txt", "a\n")
    repo.commit()
    repo.write("a.txt", "a\r\n")
    os.utime(repo.path / "a.txt", (1, 1))
    assert converted(held(repo), ["a.txt"]) == {"a.txt": b"a\n"}


def test_nothing_of_the_repository_changes(repo: Repo) -> None:
    repo.write(".gitattributes", "*.txt text\n")
    repo.commit()
    repo.write("a.txt", "unheard of\r\n")
    (repo.path / "b.txt").symlink_to("a.txt")

    def files() -> dict[str, bytes]:
        return {str(p): p.read_bytes() for p in sorted((repo.path / ".git").rglob("*")) if p.is_file()}

    before = files()
    assert set(converted(held(repo), ["a.txt", "b.txt", ".gitattributes"])) == {"a.txt"}
    assert files() == before


@pytest.mark.parametrize(
    ("place", "path"),
    [
        ("p/.gitattributes", "p/q/a.txt"),
        (".git/info/attributes", "a.txt"),
        ("../home/.config/git/attributes", "a.txt"),
        ("../home/other", "a.txt"),
    ],
)
def test_every_attributes_file_makes_conversion_possible(repo: Repo, place: str, path: str) -> None:
    repo.git("config", "--global", "core.attributesFile", "~/other")
    repo.write(path)
    assert not conversion_possible(held(repo), [path])
    repo.write(place, "*.txt text\n")
    assert conversion_possible(held(repo), [path])


def test_attributes_that_convert_nothing_and_those_of_other_folders_are_harmless(repo: Repo) -> None:
    repo.write(".gitattributes", "*.ipynb linguist-vendored\n")
    repo.write("other/.gitattributes", "* text\n")
    assert not conversion_possible(held(repo), ["p/a.txt"])
    assert conversion_possible(held(repo), ["other/a.txt"])


def test_attributes_that_are_only_in_the_index_count(repo: Repo) -> None:
    repo.write(".gitattributes", "* text\n")
    repo.write("p/a.txt", "a\r\n")
    repo.commit()
    (repo.path / ".gitattributes").unlink()
    assert conversion_possible(held(repo), ["p/a.txt"])
    assert conversion_possible(held(repo, "p"), ["a.txt"])


def test_autocrlf_is_found_through_includes_and_variables(repo: Repo) -> None:
    repo.git("config", "--global", "includeIf.gitdir:/[x]/.path", "~/work config")
    repo.git("config", "core.autocrlf", "false")
    assert not conversion_possible(held(repo), ["a"])
    repo.write("../home/work config", '[user] name = "x" # y\n[core] ; z\n\tAutoCRLF = input\n')
    assert conversion_possible(held(repo), ["a"])
    repo.write("../home/work config", "")
    repo.environ["GIT_CONFIG_PARAMETERS"] = "'core.autocrlf'='true'"
    assert conversion_possible(held(repo), ["a"])


def test_modes_are_the_indexs_where_the_configuration_says_so(repo: Repo) -> None:
    assert file_modes(held(repo).git) == FileModes(executable=True, symlinks=True)
    repo.git("config", "core.fileMode", "false")
    repo.git("config", "core.symlinks", "no")
    assert file_modes(held(repo).git) == FileModes(executable=False, symlinks=False)


def test_contradicting_modes_are_for_git_to_decide(repo: Repo) -> None:
    repo.git("config", "--global", "core.fileMode", "false")
    assert repo.git("config", "--local", "core.fileMode") == "true"
    assert file_modes(held(repo).git).executable


def test_the_configuration_is_read_as_git_reads_it(repo: Repo) -> None:
    text = '[a "B c"] x = "q # \\"r\\"" ; no\n y\n[d]\n\tz = one \\\n two # three\n# [e]\n[f]g=1\n'
    repo.write("../home/.gitconfig", text)
    values = read_settings(held(repo).git).values
    assert values['a "b c".x'] == (repo.git("config", "a.B c.x"),)
    assert values['a "b c".y'] == (None,)
    assert values["d.z"] == (repo.git("config", "d.z"),)
    assert values["f.g"] == ("1",)
