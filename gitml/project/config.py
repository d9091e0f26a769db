"""Configuration: what the user, a clone and a worktree say, the later over the earlier.

    $XDG_CONFIG_HOME/gitml/config.toml      the user's (`~/.config` where the variable is not set)
    $GIT_COMMON_DIR/gitml/config.toml       this clone's, of all its worktrees
    $GIT_DIR/gitml/config.toml              this worktree's, where it is a linked one

`.gitml/config.toml` is committed, so anyone may have written it: where the cache lies and how files are linked to it is
not for it to say, and a value there is an error.

None of these files is there in most projects, and then all this costs is that many attempts to open one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Union, cast

from gitml.errors import UsageError
from gitml.manifest.problems import Fault, Source, nearest, refuse
from gitml.manifest.text import decode, parse_toml
from gitml.project.declaration import read_declaration
from gitml.project.place import Place
from gitml.store.link import LINK_TYPES

COMMITTED = ".gitml/config.toml"
_DEFAULT_LINKS = ("reflink", "copy")

Value = Union[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """What holds for a project. `cache`: the absolute path of the cache; `links`: see `Store.links`.

    `is_shared`: other repositories may use the cache as well, because it lies outside of this one.
    """

    cache: str
    links: tuple[str, ...]
    is_shared: bool


class Key(NamedTuple):
    """A key that may be set. `check` takes a TOML value and gives what is used; a ValueError of it says why not."""

    name: str
    check: Callable[[object, Mapping[str, str]], Value]
    example: str

    @property
    def path(self) -> tuple[str, str]:
        """The table that it stands in, and its own name."""
        table, _, name = self.name.partition(".")
        return table, name


class Setting(NamedTuple):
    """A checked value and the file that has it; `source` None: the default."""

    key: Key
    value: Value
    source: Source | None

    def refuse(self, message: str, hint: str) -> None:
        """Refuse the value, where it stands.

        Raises:
            UsageError: Always.
        """
        if self.source is None:
            raise UsageError(message, hint=hint)
        refuse(self.source, [Fault(path=self.key.path, message=message, hint=hint, value=True)])


def read_config(place: Place, environ: Mapping[str, str]) -> Config:
    """Read what holds for a project.

    Raises:
        UsageError: A file is not valid, the committed one sets what it may not, or the cache cannot be where it is
            said to be.
    """
    found = settings(place, environ)
    folder, links = found["cache.dir"], cast("tuple[str, ...]", found["cache.link"].value)
    if folder.source is None:
        return Config(cache=str(folder.value), links=links, is_shared=False)
    check_folder(place, folder)
    cache = os.path.realpath(str(folder.value))  # worktree links into it name it, so it has one name
    return Config(cache=cache, links=links, is_shared=not _is_below(cache, place.repository.common_dir))


def settings(place: Place, environ: Mapping[str, str]) -> dict[str, Setting]:
    """Give the value of every key, by its name, with the file that has the last word on it.

    Raises:
        UsageError: A file is not valid, or the committed one sets what it may not.
    """
    _check_committed(place)
    found = _defaults(place)
    files = (user_file(environ), clone_file(place), _worktree_file(place))
    for file in dict.fromkeys(file for file in files if file is not None):
        found.update(settings_of(file, environ))
    return found


def settings_of(file: str, environ: Mapping[str, str]) -> dict[str, Setting]:
    """Read one file; gives what it sets by the keys' names, nothing where it is not there.

    Raises:
        UsageError: It is not valid.
    """
    data = read_declaration("/", file)
    return {} if data is None else parse_settings(Source(file=file, text=decode(file, data)), environ)


def parse_settings(source: Source, environ: Mapping[str, str]) -> dict[str, Setting]:
    """Check the text of a file.

    Raises:
        ManifestError: It is no TOML, or has an unknown key or a wrong value; each is told with its place.
    """
    faults: list[Fault] = []
    found: dict[str, Setting] = {}
    for path, value in _leaves(parse_toml(source.file, source.text)):
        key = KEYS.get(".".join(path))
        if key is None:
            faults.append(_unknown(path))
            continue
        try:
            found[key.name] = Setting(key, key.check(value, environ), source)
        except ValueError as error:
            faults.append(Fault(path=path, message=f"{key.name}: {error}", hint=key.example, value=True))
    refuse(source, faults)
    return found


def check_folder(place: Place | None, setting: Setting) -> None:
    """Refuse a cache folder that is not there, since a share may just not be mounted, or that Git would clean away.

    A Git directory is refused too: `objects` there are Git's.

    Raises:
        UsageError: It is one of these.
    """
    folder = str(setting.value)
    if not os.path.isdir(folder):
        setting.refuse(
            f"cache.dir {folder} is not a folder",
            hint=f"mount it; or, to begin a new cache there: mkdir -p {folder} (then chmod 2775 for a group)",
        )
    if place is None:
        return
    real, top = os.path.realpath(folder), os.path.realpath(place.repository.worktree)
    within_git = any(_is_below(real, git) for git in (place.repository.git_dir, place.repository.common_dir))
    if _is_below(real, top) and not within_git:
        setting.refuse(
            f"cache.dir {folder} lies in the worktree, where `git clean` would delete it",
            hint="name a folder outside of it",
        )
    if real == "/" or all(os.path.exists(os.path.join(real, name)) for name in ("HEAD", "objects", "refs")):
        setting.refuse(
            f"cache.dir {folder} is no place for a cache: other things lie there under the names that it uses",
            hint="name a folder of its own, below it or elsewhere",
        )


def user_file(environ: Mapping[str, str]) -> str | None:
    """Tell where the user's file lies, or would lie; None where no home is known."""
    folder = environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(folder):  # the XDG Base Directory Specification: a relative path is to be ignored
        home = environ.get("HOME", "")
        folder = os.path.join(home, ".config") if os.path.isabs(home) else ""
    return os.path.join(folder, "gitml", "config.toml") if folder else None


def clone_file(place: Place) -> str:
    """Tell where the file of all worktrees of this clone lies, or would lie."""
    return os.path.join(place.shared, "config.toml")


def _worktree_file(place: Place) -> str:
    return os.path.join(place.repository.git_dir, "gitml", "config.toml")


def _defaults(place: Place) -> dict[str, Setting]:
    values: dict[str, Value] = {"cache.dir": os.path.join(place.shared, "cache"), "cache.link": _DEFAULT_LINKS}
    return {name: Setting(KEYS[name], value, None) for name, value in values.items()}


def _check_committed(place: Place) -> None:
    data = read_declaration(place.root, COMMITTED)
    if data is None:
        return
    text = decode(COMMITTED, data)
    leaves = _leaves(parse_toml(COMMITTED, text))
    refuse(Source(file=COMMITTED, text=text), [_not_for_all(path) for path, _ in leaves])


def _not_for_all(path: tuple[str, ...]) -> Fault:
    if path[0] != "cache":
        return _unknown(path)
    return Fault(
        path=path,
        message=f"{'.'.join(path)} may not be set by a committed file: anyone could have written it",
        hint="delete it here; gitml config sets it for this clone",
    )


def _unknown(path: tuple[str, ...]) -> Fault:
    name = ".".join(path)
    hint = nearest(name, KEYS) or f"keys: {', '.join(KEYS)}"
    return Fault(path=path, message=f"there is no key '{name}'", hint=hint)


def _leaves(table: Mapping[str, object]) -> list[tuple[tuple[str, ...], object]]:
    """List the values of a file by their paths, going into no more tables than keys have."""
    found: list[tuple[tuple[str, ...], object]] = []
    for name, value in table.items():
        if isinstance(value, Mapping):
            found.extend(((name, inner), one) for inner, one in value.items())
        else:
            found.append(((name,), value))
    return found


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _folder(value: object, environ: Mapping[str, str]) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("this is not a path")
    if value == "~" or value.startswith("~/"):
        home = environ.get("HOME", "")
        if not os.path.isabs(home):
            raise ValueError("HOME, for which ~ stands, is not set")
        value = home + value[1:]
    if not os.path.isabs(value):
        raise ValueError(f"{value!r} is relative, and it is not said to what")
    return value


def _links(value: object, environ: Mapping[str, str]) -> tuple[str, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise ValueError("this is not a list of kinds of links")
    for kind in value:
        if kind not in LINK_TYPES:
            raise ValueError(f"{kind!r} is none of {', '.join(LINK_TYPES)}")
    if len(set(value)) < len(value):
        raise ValueError("a kind of link is named twice")
    return tuple(value)


KEYS = {
    key.name: key
    for key in (
        Key("cache.dir", _folder, 'an absolute path: dir = "/srv/gitml" or dir = "~/gitml"'),
        Key("cache.link", _links, 'in order of preference: link = ["reflink", "copy"]'),
    )
}
"""Every key, by its name."""
