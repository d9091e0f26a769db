"""The distributions of the Python that steps run, read from the names of their metadata folders."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping

_DIST = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)\.(dist-info|egg-info)\Z")


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
