"""The programs that show what the machine can do; those that are not installed are not measured."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.bench.repository import quiet

_VERSIONED = ("cp", "b3sum", "xxhsum")


def installed(commands: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Give the commands whose program is found."""
    return {name: argv for name, argv in commands.items() if shutil.which(argv[0])}


def versions() -> dict[str, str]:
    """Give the versions of the programs that are found."""
    found = installed({name: [name] for name in _VERSIONED})
    return {name: _version(quiet(["sh", "-c", f"{name} --version 2>&1"], Path(), {})) for name in found}


def _version(text: str) -> str:
    """Find the first word of a program's first line that begins with a digit."""
    words = text.split("\n", 1)[0].split()
    return next((word for word in words if word[0].isdigit()), "of unknown version")
