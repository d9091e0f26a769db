"""Finds the Python interpreters of this machine and the files of their standard libraries."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from functools import cache
from pathlib import Path

FULL = os.environ.get("GITML_FULL") == "1"
"""Look at every file of every standard library instead of a sample."""


@cache
def interpreters() -> dict[str, str]:
    """By version (`3.12`), an interpreter that starts; the one that runs the tests is always among them."""
    found = {".".join(map(str, sys.version_info[:2])): sys.executable}
    for minor in range(10, 15):
        places = [shutil.which(f"python3.{minor}") or ""]
        places += map(str, sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python")))
        for place in places:
            if f"3.{minor}" not in found and place and _version(place) == f"3.{minor}":
                found[f"3.{minor}"] = place
    return found


@cache
def library(python: str) -> tuple[Path, ...]:
    """The Python files of an interpreter's standard library, sorted; every sixteenth unless `FULL`."""
    folder = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    files = sorted(path for path in Path(folder).rglob("*.py") if "site-packages" not in path.parts)
    assert len(files) > 500, f"no standard library at {folder}"
    return tuple(files if FULL else files[::16])


def own_library() -> tuple[Path, ...]:
    """The same for the interpreter that runs the tests."""
    files = sorted(p for p in Path(sysconfig.get_path("stdlib")).rglob("*.py") if "site-packages" not in p.parts)
    return tuple(files if FULL else files[::16])


def _version(python: str) -> str | None:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
