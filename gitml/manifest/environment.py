"""The file that locks Python packages, and what of it a step's packages stand for.

What is pinned is taken over all platform markers, so that a step has one key on every machine. Where the file does not
say what needs what (`pylock.toml` and `requirements.txt` need not), all of it counts as the closure: a rerun too many
is the smaller harm.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gitml.manifest.distribution import normal_name
from gitml.manifest.positions import position_of
from gitml.manifest.problems import ManifestError, at
from gitml.manifest.text import decode, parse_toml, whole_file

_NAME = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)", re.ASCII)
_EXTRAS = re.compile(r"\s*\[([^\]]*)\]")
_PIN = re.compile(r"\s*===?\s*([^\s;,*]+)\s*(?:;.*)?\Z")
_ADDRESS = re.compile(r"\s*@\s*(\S+)\s*(?:;.*)?\Z")
_HASH = re.compile(r"--hash[= ]\s*(\S+)")
_IGNORED_OPTIONS = re.compile(
    r"-i\b|-f\b|--(?:index-url|extra-index-url|find-links|no-index|no-binary|only-binary|prefer-binary|pre|trusted-host)\b"
)
_VIA = re.compile(r"\s+#\s+(via\b)?\s*(.*)")

Need = tuple[str, frozenset[str]]
"""The name of a needed package and the extras asked of it."""


@dataclass(kw_only=True, slots=True)
class Pin:
    """One locked version of one package; `extras` maps the name of an extra to what it needs in addition."""

    name: str
    version: str
    hashes: frozenset[str] = frozenset()
    needs: tuple[Need, ...] = ()
    extras: Mapping[str, tuple[Need, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """All pins of a file, by normalised name; `complete` tells that their needs are known."""

    pins: Mapping[str, Sequence[Pin]]
    complete: bool

    def closure(self, name: str) -> dict[str, dict[str, Any]]:
        """Give version and sorted hashes of a package and of all that it needs, by name.

        Where several versions are locked for different platforms, all are named, with commas between.
        """
        names = self._reach(name) if self.complete else self.pins
        return {each: _facts(self.pins[each]) for each in sorted(names)}

    def _reach(self, name: str) -> set[str]:
        seen: set[tuple[str, str]] = set()
        waiting = [(name, "")]
        while waiting:
            here = waiting.pop()
            if here in seen or here[0] not in self.pins:
                continue
            seen.add(here)
            for pin in self.pins[here[0]]:
                needs = pin.extras.get(here[1], ()) if here[1] else pin.needs
                waiting += [(n, extra) for n, extras in needs for extra in ("", *extras)]
        return {name for name, _ in seen}


def is_environment(file: str) -> bool:
    """Tell whether a file's name is one that `read_environment` knows."""
    return _language(file) is not None


def read_environment(file: str, data: bytes) -> Environment:
    """Read a lock file; its name says which language.

    Raises:
        ManifestError: It cannot be read, or does not lock what it names.
    """
    text = decode(file, data)
    language = _language(file)
    if language == "requirements":
        pins, complete = _requirements(file, text)
        return Environment(pins=pins, complete=complete)
    table = parse_toml(file, text)
    try:
        if language == "pylock":
            found = [_pylock(row) for row in table.get("packages", [])]
            return Environment(pins=_by_name(found), complete=any(pin.needs for pin in found))
        read = _uv if language == "uv" else _poetry
        return Environment(pins=_by_name(read(row) for row in table.get("package", [])), complete=True)
    except (TypeError, KeyError, AttributeError) as error:
        raise whole_file(file, text, f"this is not a {language} lock file as gitml knows it: {error}") from error


def _language(file: str) -> str | None:
    name = posixpath.basename(file)
    if name in ("uv.lock", "poetry.lock"):
        return name.removesuffix(".lock")
    if name == "pylock.toml" or (name.startswith("pylock.") and name.endswith(".toml")):
        return "pylock"
    return "requirements" if name.endswith(".txt") else None


def _by_name(pins: Iterable[Pin]) -> dict[str, list[Pin]]:
    found: dict[str, list[Pin]] = defaultdict(list)
    for pin in pins:
        found[pin.name].append(pin)
    return dict(found)


def _facts(pins: Sequence[Pin]) -> dict[str, Any]:
    versions = sorted({pin.version for pin in pins})
    return {"version": ",".join(versions), "hashes": sorted(frozenset().union(*(pin.hashes for pin in pins)))}


def _uv(row: Mapping[str, Any]) -> Pin:
    files = [*row.get("wheels", []), *([row["sdist"]] if "sdist" in row else [])]
    hashes = {str(file["hash"]) for file in files if "hash" in file}
    source = row.get("source", {})
    return Pin(
        name=normal_name(row["name"]),
        version=str(row.get("version", "")),
        hashes=frozenset(hashes | {f"{kind}+{source[kind]}" for kind in ("git", "url") if kind in source}),
        needs=_needs(row.get("dependencies", [])),
        extras={extra: _needs(rows) for extra, rows in row.get("optional-dependencies", {}).items()},
    )


def _needs(rows: Iterable[Mapping[str, Any]]) -> tuple[Need, ...]:
    return tuple((normal_name(row["name"]), frozenset(row.get("extra", ()))) for row in rows)


def _poetry(row: Mapping[str, Any]) -> Pin:
    needs: list[Need] = []
    optional: dict[str, Need] = {}
    for name, spec in row.get("dependencies", {}).items():
        choices = [one for one in (spec if isinstance(spec, list) else [spec]) if isinstance(one, dict)]
        need = (normal_name(name), frozenset(extra for one in choices for extra in one.get("extras", ())))
        if choices and all(one.get("optional") for one in choices):
            optional[need[0]] = need
        else:
            needs.append(need)
    extras = {
        extra: tuple(optional.get(name, (name, frozenset())) for name in map(_required, texts))
        for extra, texts in row.get("extras", {}).items()
    }
    hashes = {str(file["hash"]) for file in row.get("files", []) if "hash" in file}
    source = row.get("source", {})
    if "resolved_reference" in source:
        hashes.add(f"git+{source.get('url', '')}#{source['resolved_reference']}")
    name = normal_name(row["name"])
    return Pin(name=name, version=str(row["version"]), hashes=frozenset(hashes), needs=tuple(needs), extras=extras)


def _required(text: str) -> str:
    match = _NAME.match(text)
    return normal_name(match[1]) if match else ""


def _pylock(row: Mapping[str, Any]) -> Pin:
    files = [*row.get("wheels", []), *(row[kind] for kind in ("sdist", "archive") if kind in row)]
    hashes = {f"{kind}:{digest}" for file in files for kind, digest in file.get("hashes", {}).items()}
    if "vcs" in row:
        hashes.add(f"{row['vcs'].get('type', 'vcs')}+{row['vcs'].get('url', '')}#{row['vcs'].get('commit-id', '')}")
    needs = tuple((normal_name(need["name"]), frozenset[str]()) for need in row.get("dependencies", []))
    name = normal_name(row["name"])
    return Pin(name=name, version=str(row.get("version", "")), hashes=frozenset(hashes), needs=needs)


@dataclass(kw_only=True, slots=True)
class _Line:
    """A pin of a requirements file and what the comments below it name as the reason (`# via …`)."""

    pin: Pin
    via: list[str]


def _requirements(file: str, text: str) -> tuple[dict[str, list[Pin]], bool]:
    lines: list[_Line] = []
    for offset, written in _logical_lines(text):
        comment = _VIA.match(written)
        if comment and lines:
            lines[-1].via += [comment[2]] if comment[2] else []
        content = re.sub(r"(^|\s)#.*", "", written).strip()
        if not content or _IGNORED_OPTIONS.match(content):
            continue
        pin = _pinned(content)
        if pin is None:
            where = position_of(text, offset)
            message = f"{content.split()[0]} is not pinned by '=='"
            raise ManifestError([at(file, where, message, "export the environment to one file of '==' pins")])
        lines.append(_Line(pin=pin, via=[]))
    pins = _by_name(line.pin for line in lines)
    for line in lines:
        for reason in line.via:
            for pin in pins.get(_required(reason), ()):
                pin.needs += ((line.pin.name, frozenset()),)
    return pins, bool(lines) and all(line.via for line in lines)


def _pinned(content: str) -> Pin | None:
    hashes = frozenset(_HASH.findall(content))
    rest = _HASH.sub("", content).rstrip()
    name = _NAME.match(rest)
    if not name:
        return None
    rest = rest[name.end() :]
    extras = _EXTRAS.match(rest)
    rest = rest[extras.end() :] if extras else rest
    version = _PIN.match(rest) or _ADDRESS.match(rest)
    return Pin(name=normal_name(name[1]), version=version[1], hashes=hashes) if version else None


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Give lines with their offsets, those that end in a backslash joined with the next."""
    offset = start = 0
    held = ""
    for line in text.splitlines(keepends=True):
        bare = line.rstrip("\r\n")
        start = start if held else offset
        offset += len(line)
        if bare.endswith("\\"):
            held += bare[:-1] + " "
            continue
        yield start, held + bare
        held = ""
    if held:
        yield start, held
