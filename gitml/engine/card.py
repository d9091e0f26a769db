"""The facts of this machine that a run's card records: they never enter a key."""

from __future__ import annotations

import getpass
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from gitml.engine.installed import installed, site_packages


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """Host, user, and the Python that a step's `python` is, with its installed distributions and their versions."""

    host: str
    user: str
    python: str
    packages: Mapping[str, str]


def environment_facts(environ: Mapping[str, str]) -> Environment:
    """Read the facts from the file system: no interpreter is started for them."""
    folder = site_packages(environ)
    return Environment(
        host=platform.node(),
        user=_user(),
        python=_python_version(folder),
        packages=installed(folder) if folder else {},
    )


def _python_version(folder: str | None) -> str:
    if folder is None:
        return ""
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
