"""Configuration files: what is read from where, what is refused, and what an edit leaves as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitml.errors import UsageError
from gitml.manifest.problems import ManifestError, Source
from gitml.project.config import KEYS, Config, Setting, parse_settings, read_config, user_file
from gitml.project.configedit import set_key, unset_key
from gitml.project.place import Place, find_place
from tests.repos import isolated_environ, new_repo

DIR, LINK = KEYS["cache.dir"], KEYS["cache.link"]


class Site:
    """A repository with a home, and a folder that may be a cache."""

    def __init__(self, folder: Path) -> None:
        self.environ = isolated_environ(folder / "home")
        self.repo = new_repo(folder / "repo", environ=self.environ)
        self.repo.write("gitml.toml", "")
        self.repo.commit()
        self.shared = folder / "shared"
        self.shared.mkdir()
        self.user = folder / "home/.config/gitml/config.toml"
        self.clone = self.repo.path / ".git/gitml/config.toml"

    def write(self, file: Path, text: str) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    @property
    def place(self) -> Place:
        return find_place(str(self.repo.path), self.environ)

    def config(self) -> Config:
        return read_config(self.place, self.environ)

    def refused(self) -> str:
        with pytest.raises(UsageError) as caught:
            self.config()
        return caught.value.message


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def values(text: str) -> dict[str, Setting]:
    return parse_settings(Source(file="config.toml", text=text), {"HOME": "/home/ada"})


def test_without_files_the_cache_is_the_clones_own(site: Site) -> None:
    cache = str(site.repo.path / ".git/gitml/cache")
    assert site.config() == Config(cache=cache, links=("reflink", "copy"), is_shared=False)


def test_the_clone_overrules_the_user_and_a_linked_worktree_the_clone(site: Site, tmp_path: Path) -> None:
    site.write(site.user, f'cache.dir = "{site.shared}"\ncache.link = ["copy"]\n')
    assert site.config() == Config(cache=str(site.shared), links=("copy",), is_shared=True)
    site.write(site.clone, '[cache]\nlink = ["hardlink"]\n')
    assert site.config().links == ("hardlink",)
    assert site.config().cache == str(site.shared)
    other = site.repo.worktree(tmp_path / "other", "-b", "other")
    assert read_config(find_place(str(other.path), site.environ), site.environ).links == ("hardlink",)
    git_dir = Path(other.git("rev-parse", "--absolute-git-dir"))
    site.write(git_dir / "gitml/config.toml", 'cache.link = ["symlink"]\n')
    assert read_config(find_place(str(other.path), site.environ), site.environ).links == ("symlink",)
    assert site.config().links == ("hardlink",)


def test_a_project_below_the_top_has_the_configuration_of_its_clone(site: Site) -> None:
    site.repo.write("sub/gitml.toml", "")
    site.write(site.clone, '[cache]\nlink = ["hardlink"]\n')
    below = find_place(str(site.repo.path / "sub"), site.environ)
    assert read_config(below, site.environ).links == ("hardlink",)


def test_the_users_file_is_looked_for_as_the_xdg_specification_says() -> None:
    assert user_file({"XDG_CONFIG_HOME": "/x", "HOME": "/h"}) == "/x/gitml/config.toml"
    assert user_file({"XDG_CONFIG_HOME": "x", "HOME": "/h"}) == "/h/.config/gitml/config.toml"
    assert user_file({"HOME": "/h"}) == "/h/.config/gitml/config.toml"
    assert user_file({}) is None
    assert user_file({"HOME": "here"}) is None


def test_a_home_is_spelt_with_a_tilde() -> None:
    assert values('cache.dir = "~/cache"')["cache.dir"].value == "/home/ada/cache"
    assert values('cache.dir = "~"')["cache.dir"].value == "/home/ada"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('cache.dir = "here/cache"', "config.toml:1:13: cache.dir: 'here/cache' is relative"),
        ('cache.dir = "~bob/cache"', "is relative"),
        ('cache.dir = ""', "cache.dir: this is not a path"),
        ('cache.dir = "/a\\u0000b"', "cache.dir: this is not a path"),
        ("cache.dir = 3", "cache.dir: this is not a path"),
        ('\n[cache]\nlink = "copy"', "config.toml:3:8: cache.link: this is not a list"),
        ("cache.link = []", "cache.link: this is not a list"),
        ("cache.link = { copy = 1 }", "cache.link: this is not a list"),
        ('cache.link = ["clone"]', "cache.link: 'clone' is none of reflink, hardlink, symlink, copy"),
        ('cache.link = [["copy"]]', "is none of"),
        ('cache.link = ["copy", "copy"]', "named twice"),
        ('[cache]\nlinks = ["copy"]', "config.toml:2:1: there is no key 'cache.links'"),
        ('[cache]\nlinks = ["copy"]', "did you mean 'cache.link'?"),
        ("[cache.dir]\nx = 1", "cache.dir: this is not a path"),
        ("cache = 3", "there is no key 'cache'"),
        ("[remote]\nx = 1", "there is no key 'remote.x'"),
        ("cache.dir = ", "this is not TOML"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, told: str) -> None:
    with pytest.raises(ManifestError) as caught:
        values(text)
    assert told in caught.value.message


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ManifestError) as caught:
        values('[cache]\ndir = "x"\nlink = 3\nmore = 1\n')
    assert [problem.line for problem in caught.value.problems] == [2, 3, 4]


def test_a_cache_that_is_not_there_is_refused(site: Site) -> None:
    site.write(site.clone, f'# ours\n[cache]\ndir = "{site.shared}"\n')
    assert site.config().is_shared
    site.shared.rmdir()
    assert f"{site.clone}:3:7: cache.dir {site.shared} is not a folder" in site.refused()
    site.shared.write_text("a file")
    assert "is not a folder" in site.refused()


@pytest.mark.parametrize("spelling", ["worktree", "link", "top"])
def test_a_cache_in_the_worktree_is_refused(spelling: str, site: Site, tmp_path: Path) -> None:
    inside = site.repo.path / "data/cache"
    inside.mkdir(parents=True)
    (tmp_path / "link").symlink_to(inside)
    folder = {"worktree": inside, "link": tmp_path / "link", "top": site.repo.path}[spelling]
    site.write(site.clone, f'cache.dir = "{folder}"\n')
    assert "lies in the worktree" in site.refused()


def test_an_overruled_folder_need_not_be_there(site: Site) -> None:
    site.write(site.user, 'cache.dir = "/nowhere/at/all"\n')
    site.write(site.clone, f'cache.dir = "{site.shared}"\n')
    assert site.config().cache == str(site.shared)


def test_a_cache_in_the_git_folder_is_shared_with_nobody(site: Site) -> None:
    (site.repo.path / ".git/mine").mkdir()
    site.write(site.clone, f'cache.dir = "{site.repo.path}/.git/mine"\n')
    assert site.config() == Config(cache=str(site.repo.path / ".git/mine"), links=("reflink", "copy"), is_shared=False)


def test_a_cache_has_one_name_however_it_is_spelt(site: Site, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(site.shared)
    site.write(site.clone, f'cache.dir = "{tmp_path}/link/../link/"\n')
    assert site.config().cache == str(site.shared)


@pytest.mark.parametrize("text", ['cache.dir = "/srv"', '[cache]\nlink = ["symlink"]', "cache.other = 1"])
def test_a_committed_file_may_not_say_anything_of_the_cache(text: str, site: Site) -> None:
    site.repo.write(".gitml/config.toml", text)
    message = site.refused()
    assert message.startswith(".gitml/config.toml:")
    assert "may not be set by a committed file" in message


def edited(tmp_path: Path, text: str, value: tuple[str, ...] | None) -> str:
    """Set `cache.link` (None: drop it) in a file with some text; gives the new text."""
    file = tmp_path / "config.toml"
    file.write_bytes(text.encode())
    if value is None:
        unset_key(str(file), LINK, {})
    else:
        set_key(str(file), LINK, value, {})
        assert values(file.read_bytes().decode())["cache.link"].value == value
    return file.read_bytes().decode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '[cache]\nlink = ["copy"]\n'),
        ("# mine", '# mine\n\n[cache]\nlink = ["copy"]\n'),
        ("# mine\n", '# mine\n\n[cache]\nlink = ["copy"]\n'),
        ('[cache]  # here\ndir = "/x"  # there\n', '[cache]  # here\nlink = ["copy"]\ndir = "/x"  # there\n'),
        ('[ cache ]\r\ndir = "/x"\r\n', '[ cache ]\r\nlink = ["copy"]\r\ndir = "/x"\r\n'),
        ("[cache]", '[cache]\nlink = ["copy"]\n'),
        ('cache.dir = "/x"\n', 'cache.link = ["copy"]\ncache.dir = "/x"\n'),
        ('cache = { dir = "/x", link = ["symlink"] } # z\n', 'cache = { dir = "/x", link = ["copy"] } # z\n'),
        (
            '[cache]\nlink = [ # a\n  "reflink", # b\n  "symlink",\n] # c\ndir = "/x"\n',
            '[cache]\nlink = ["copy"] # c\ndir = "/x"\n',
        ),
        ('"cache"."link" = ["symlink"]', '"cache"."link" = ["copy"]'),
    ],
)
def test_setting_a_key_keeps_the_rest(before: str, after: str, tmp_path: Path) -> None:
    assert edited(tmp_path, before, ("copy",)) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('# a\n[cache]\nlink = ["copy"] # b\ndir = "/x"\n', '# a\n[cache]\ndir = "/x"\n'),
        ('[cache]\nlink = [\n "copy",\n]\n# c\n', "[cache]\n# c\n"),
        ('cache.link = ["copy"]', ""),
        ('cache.dir = "/x"\n', 'cache.dir = "/x"\n'),
    ],
)
def test_dropping_a_key_keeps_the_rest(before: str, after: str, tmp_path: Path) -> None:
    assert edited(tmp_path, before, None) == after


@pytest.mark.parametrize(
    ("text", "value"),
    [('cache = { dir = "/x" }\n', ("copy",)), ('cache = { dir = "/x", link = ["copy"] }\n', None)],
)
def test_what_needs_a_person_is_left_to_one(text: str, value: tuple[str, ...] | None, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be changed"):
        edited(tmp_path, text, value)
    assert (tmp_path / "config.toml").read_text() == text


@pytest.mark.parametrize("text", ["cache = 3\n", "[cache]\nother = 1\n", "[cache\n"])
def test_a_file_that_is_not_valid_is_not_edited(text: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError):
        edited(tmp_path, text, ("copy",))
    assert (tmp_path / "config.toml").read_text() == text


def test_odd_paths_are_read_as_they_were_set(tmp_path: Path) -> None:
    for folder in ('/a"b', "/a\\b", "/é\u2028", "/a'b", "/new\nline", "/del\x7f", "/#x"):
        file = tmp_path / "config.toml"
        set_key(str(file), DIR, folder, {})
        assert values(file.read_text())["cache.dir"].value == folder


def test_a_link_to_a_file_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    (tmp_path / "config.toml").symlink_to("dotfiles/gitml.toml")
    set_key(str(tmp_path / "config.toml"), LINK, ("copy",), {})
    assert (tmp_path / "config.toml").is_symlink()
    assert (tmp_path / "dotfiles/gitml.toml").read_text() == '[cache]\nlink = ["copy"]\n'
