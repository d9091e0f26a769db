"""The facts of this machine that a run's card records: they never enter a key."""

from __future__ import annotations

import getpass
import os
import platform
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass

_DIST = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)\.(dist-info|egg-info)\Z")


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """Host, user, and the Python that a step's `python` is, with its installed distributions and their versions."""

    host: str
    user: str
    python: str
    packages: Mapping[str, str]


def environment_facts(environ: Mapping[str, str]) -> Environment:
    """Read the facts from the file system: no interpreter is started for them."""
    folder = _site_packages(environ)
    return Environment(
        host=platform.node(),
        user=_user(),
        python=_python_version(folder),
        packages=installed(folder) if folder else {},
    )


def installed(folder: str) -> dict[str, str]:
    """Name the distributions of a `site-packages` folder by their metadata folders, in lower case with `-`."""
    found = {}
    for name in sorted(os.listdir(folder)):
        match = _DIST.match(name)
        if match:
            found[re.sub(r"[-_.]+", "-", match["name"]).lower()] = match["version"]
    return found


def site_packages(environ: Mapping[str, str]) -> str | None:
    """Tell where the `python` that steps find on PATH keeps its distributions."""
    return _site_packages(environ)


def _site_packages(environ: Mapping[str, str]) -> str | None:
    path = environ.get("PATH", os.defpath)
    python = shutil.which("python", path=path) or shutil.which("python3", path=path)
    if python is None:
        return None
    prefix = os.path.dirname(os.path.dirname(os.path.abspath(python)))
    if not os.path.exists(os.path.join(prefix, "pyvenv.cfg")):
        prefix = os.path.dirname(os.path.dirname(os.path.realpath(python)))
    library = os.path.join(prefix, "lib")
    for name in sorted(os.listdir(library) if os.path.isdir(library) else (), reverse=True):
        folder = os.path.join(library, name, "site-packages")
        if name.startswith("python3") and os.path.isdir(folder):
            return folder
    return None


def _python_version(folder: str | None) -> str:
    if folder is None:
        return platform.python_version()
    prefix = os.path.dirname(os.path.dirname(os.path.dirname(folder)))
    if os.path.realpath(prefix) == os.path.realpath(sys.prefix):
        return platform.python_version()
    try:
        with open(os.path.join(prefix, "pyvenv.cfg"), encoding="utf-8") as file:
            for line in file:
                name, _, value = line.partition("=")
                if name.strip() in ("version", "version_info"):
                    return value.strip()
    except OSError:
        pass
    return os.path.basename(os.path.dirname(folder)).removeprefix("python")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return str(os.geteuid())
