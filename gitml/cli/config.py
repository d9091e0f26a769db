"""`gitml config`."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping

import click

from gitml.cli.options import json_option, place_here
from gitml.cli.terminal import printable
from gitml.errors import EXIT_OK, UsageError
from gitml.project.config import (
    KEYS,
    Key,
    Setting,
    Value,
    check_folder,
    clone_file,
    settings,
    settings_of,
    user_file,
)
from gitml.project.configedit import set_key, unset_key
from gitml.project.place import Place


@click.command(
    epilog="Example: gitml config cache.link hardlink,copy — files share their bytes with the cache, read-only."
)
@click.argument("key", required=False, metavar="[KEY]")
@click.argument("value", required=False, metavar="[VALUE]")
@click.option("--user", is_flag=True, help="Only what holds for all projects of this user.")
@click.option("--unset", is_flag=True, help="Drop a key.")
@json_option
def command(*, key: str | None, value: str | None, user: bool, unset: bool, as_json: bool) -> int:
    """List what is configured and where, print one value, or set it.

    \b
    cache.dir   folder of the cache; several repositories may share one
    cache.link  how files share bytes with the cache, in order of preference:
                reflink, hardlink, symlink, copy

    Values are kept in this clone's Git directory, or with --user in ~/.config/gitml/config.toml; nothing of it is
    committed.
    """  # noqa: D301 - click reads the escape
    place = None if user else place_here()
    known = None if key is None else _known(key)
    if known is not None and (unset or value is not None):
        if unset and value is not None:
            raise click.UsageError("--unset takes no value")
        _change(place, known, value)
        return EXIT_OK
    if unset:
        raise click.UsageError("--unset wants a key")
    found = _read(place, os.environ)
    if known is None:
        click.echo(json.dumps(_json(found), indent=2) if as_json else "\n".join(_lines(found)), nl=bool(found))
    elif known.name in found:
        one = {known.name: found[known.name]}
        click.echo(json.dumps(_json(one), indent=2) if as_json else _text(one[known.name].value))
    return EXIT_OK


def _known(name: str) -> Key:
    key = KEYS.get(name)
    if key is None:
        raise click.UsageError(f"there is no key {name!r}; keys: {', '.join(KEYS)}")
    return key


def _read(place: Place | None, environ: Mapping[str, str]) -> dict[str, Setting]:
    return settings_of(_file(None), environ) if place is None else settings(place, environ)


def _file(place: Place | None) -> str:
    """Name the file to change: the clone's, or without a place the user's."""
    file = user_file(os.environ) if place is None else clone_file(place)
    if file is None:
        raise UsageError("it is not known where this user's files lie", hint="set HOME or XDG_CONFIG_HOME")
    return file


def _change(place: Place | None, key: Key, text: str | None) -> None:
    file = _file(place)
    if text is None:
        if not unset_key(file, key, os.environ):
            click.echo(f"{key.name} is not set in {printable(file)}", err=True)
        return
    value = _checked(key, text)
    if key.name == "cache.dir":
        check_folder(place, Setting(key, value, None))
    before = _read(place, os.environ)
    set_key(file, key, value, os.environ)
    now = _read(place, os.environ)[key.name]
    if now.source is not None and now.source.file != file:
        click.echo(f"{key.name} is overruled here by {printable(now.source.file)}", err=True)
    elif key.name == "cache.dir" and key.name in before:
        links = before["cache.link"].value if "cache.link" in before else ()
        _tell_what_stays(str(before[key.name].value), str(now.value), has_symlinks="symlink" in links)


def _tell_what_stays(old: str, new: str, *, has_symlinks: bool) -> None:
    """Say that a cache was left behind: nothing is moved unasked, since others may use it."""
    if not os.path.isdir(os.path.join(old, "objects")) or os.path.realpath(old) == os.path.realpath(new):
        return
    take = f"cp -rn {shlex.quote(old)}/. {shlex.quote(new)}"
    click.echo(f"what {printable(old)} holds stays there; to take it along: {printable(take)}", err=True)
    if has_symlinks:
        way = "go back, then: gitml config cache.link copy && gitml checkout --relink"
        click.echo(f"symlinks in the worktree still lead there; to make files of them, {way}", err=True)


def _checked(key: Key, text: str) -> Value:
    plain = [part.strip() for part in text.split(",")] if key.name == "cache.link" else text
    try:
        return key.check(plain, os.environ)
    except ValueError as error:
        raise UsageError(f"{key.name}: {error}", hint=key.example) from None


def _lines(found: Mapping[str, Setting]) -> list[str]:
    """Give a row for each key: name, value, where it stands."""
    rows = [(name, printable(_text(one.value)), printable(_origin(one))) for name, one in found.items()]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(2)]
    return [f"{name.ljust(widths[0])}  {value.ljust(widths[1])}  {origin}" for name, value, origin in rows]


def _text(value: Value) -> str:
    """Write a value as it is typed."""
    return value if isinstance(value, str) else ",".join(value)


def _origin(setting: Setting) -> str:
    return "default" if setting.source is None else setting.source.file


def _json(found: Mapping[str, Setting]) -> dict[str, object]:
    rows = [
        {"key": name, "value": one.value, "file": None if one.source is None else one.source.file}
        for name, one in found.items()
    ]
    return {"schema": "gitml-config/1", "values": rows}
