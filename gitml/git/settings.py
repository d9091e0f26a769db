"""Git's configuration, read without a process, for questions that a cautious answer serves.

Every file that Git may read is read, and every `[include]` and `[includeIf]` is followed whether or not its condition
holds. So a value that is not here is set nowhere; where values disagree, which one counts is for Git to say.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from gitml.git.command import Git

_FALSE = frozenset({"false", "no", "off", "0", ""})
_LINE = re.compile(
    r"""\s*(?:\[(?P<section>(?:[^\]"]|"(?:[^"\\]|\\.)*")*)\])?"""
    r"""\s*(?P<key>[A-Za-z][A-Za-z0-9-]*)?\s*(?:=\s*(?P<value>.*?)\s*|[#;].*)?\Z"""
)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_VARIABLES = frozenset(
    (
        *("GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"),
        *("GIT_INDEX_FILE", "HOME", "XDG_CONFIG_HOME"),
    )
)
_LARGEST = 1 << 20  # bytes; an `[include]` of something larger is no configuration
_APPLE = (
    "/Library/Developer/CommandLineTools/usr/share/git-core/",
    "/Applications/Xcode.app/Contents/Developer/usr/share/git-core/",
)


class Settings(NamedTuple):
    """What the configuration says anywhere.

    `files`: every file that was, or would be, read. `values`: by lower-case `section.key`, all assigned values (None:
    a key without `=`, which means true). `given`: settings that came in variables (`git -c`, GIT_CONFIG_COUNT).
    """

    files: tuple[str, ...]
    values: Mapping[str, tuple[str | None, ...]]
    given: tuple[str, ...]

    def flag(self, name: str, *, default: bool) -> bool | None:
        """Read a boolean; None: it is set to different things, or in a variable, and Git must be asked."""
        if any(name in text.lower() or "include" in text.lower() for text in self.given):
            return None
        found = {value is None or value.lower() not in _FALSE for value in self.values.get(name, ())}
        if len(found) > 1:
            return None
        return found.pop() if found else default


def read_settings(git: Git) -> Settings:
    """Read every configuration file that concerns the repository; unreadable ones are as good as missing."""
    values: dict[str, list[str | None]] = {}
    files: dict[str, None] = {}
    waiting = [*_system_files(git.environ, "gitconfig"), *_user_files(git.environ)]
    waiting += [os.path.join(git.common_dir, "config"), os.path.join(git.git_dir, "config.worktree")]
    while waiting:
        path = waiting.pop(0)
        if path in files:
            continue
        files[path] = None
        for section, key, value in _assignments(path):
            if section.startswith('includeif "onbranch:'):
                files[os.path.join(git.git_dir, "HEAD")] = None
            if section.startswith("include") and key == "path" and value:
                waiting.append(expand(value, git.environ, os.path.dirname(path)))
            values.setdefault(f"{section}.{key}", []).append(value)
    given = (f"{n}={v}" for n, v in git.environ.items() if n.startswith(("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_")))
    parameters = git.environ.get("GIT_CONFIG_PARAMETERS")
    return Settings(
        files=tuple(files),
        values={name: tuple(all_of_it) for name, all_of_it in values.items()},
        given=(*sorted(given), *((parameters,) if parameters else ())),
    )


def git_variables(environ: Mapping[str, str]) -> frozenset[str]:
    """Name the variables, set or not, whose values may change what Git reads of a configuration or of an index."""
    given = {name for name in environ if name.startswith(("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_"))}
    return _VARIABLES | given


def exclude_files(git: Git, settings: Settings) -> tuple[str, ...]:
    """Name the ignore files outside the worktree."""
    own = os.path.join(git.common_dir, "info", "exclude")
    return (own, *_user_defaults(git.environ, "ignore"), *_named(git, settings, "core.excludesfile"))


def attributes_files(git: Git, settings: Settings) -> tuple[str, ...]:
    """Name the attributes files outside the worktree."""
    own = os.path.join(git.common_dir, "info", "attributes")
    user = (*_user_defaults(git.environ, "attributes"), *_named(git, settings, "core.attributesfile"))
    return (own, *user, *_system_files(git.environ, "gitattributes"))


def expand(path: str, environ: Mapping[str, str], folder: str) -> str:
    """Read a path as it is written in a configuration file that lies in `folder`."""
    if path.startswith("~/"):
        path = environ.get("HOME", "") + path[1:]
    elif path.startswith("~"):
        path = os.path.expanduser(path)
    return os.path.join(folder, path)


def _named(git: Git, settings: Settings, name: str) -> tuple[str, ...]:
    return tuple(expand(value, git.environ, git.worktree) for value in settings.values.get(name, ()) if value)


def _user_files(environ: Mapping[str, str]) -> tuple[str, ...]:
    if "GIT_CONFIG_GLOBAL" in environ:
        return (environ["GIT_CONFIG_GLOBAL"],)
    home = environ.get("HOME")
    return (*_user_defaults(environ, "config"), *((os.path.join(home, ".gitconfig"),) if home else ()))


def _user_defaults(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    base = environ.get("XDG_CONFIG_HOME")
    if not base and environ.get("HOME"):
        base = os.path.join(environ["HOME"], ".config")
    return (os.path.join(base, "git", name),) if base else ()


def _system_files(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Name where the system's file may be: that is compiled into Git, and follows from where Git is installed."""
    if name == "gitconfig" and environ.get("GIT_CONFIG_NOSYSTEM", "").lower() not in _FALSE:
        return ()
    if name == "gitconfig" and "GIT_CONFIG_SYSTEM" in environ:
        return (environ["GIT_CONFIG_SYSTEM"],)
    found = [f"/etc/{name}"]
    for folder in environ.get("PATH", os.defpath).split(os.pathsep):
        program = os.path.join(folder, "git")
        if os.access(program, os.X_OK):
            homes = (folder, os.path.dirname(os.path.realpath(program)))
            found += [os.path.join(os.path.dirname(home), "etc", name) for home in homes]
            break
    if sys.platform == "darwin":
        found += [apple + name for apple in _APPLE]
    return tuple(dict.fromkeys(found))


def _assignments(path: str) -> Iterator[tuple[str, str, str | None]]:
    """Read a file as git-config(1) says, down to what paths and booleans need."""
    try:
        with open(path, "rb") as file:
            text = os.fsdecode(file.read(_LARGEST))
    except OSError:
        return
    section = ""
    for line in text.replace("\\\n", "").split("\n"):
        match = _LINE.match(line)
        if match is None:
            continue
        if match["section"] is not None:
            section = match["section"].strip().lower()
        if match["key"]:
            yield section, match["key"].lower(), None if match["value"] is None else _unquoted(match["value"])


def _unquoted(value: str) -> str:
    quoted = _QUOTED.match(value)
    if quoted:
        return re.sub(r"\\(.)", r"\1", quoted.group(1))
    return re.split(r"[#;]", value, maxsplit=1)[0].rstrip()
