"""The environment that the other tools are installed into, apart from gitml's own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TOOLS = ("dvc", "snakemake", "doit")


@dataclass(frozen=True, kw_only=True, slots=True)
class Toolbox:
    """A virtual environment; `folder` is where it is, or will be."""

    folder: Path

    def install(self) -> None:
        """Install the newest tools that pip finds for this Python, unless that was done already."""
        stamp = self.folder / "installed"
        if stamp.exists():
            return
        subprocess.run([sys.executable, "-m", "venv", str(self.folder)], check=True)
        subprocess.run([self.program("python"), "-m", "pip", "install", "--quiet", *TOOLS], check=True)
        stamp.touch()

    def program(self, name: str) -> str:
        """Give the path of a program of the environment."""
        return str(self.folder.absolute() / "bin" / name)

    def version_of(self, distribution: str) -> str:
        """Ask the environment which version it has."""
        listed = subprocess.check_output([self.program("python"), "-m", "pip", "list", "--format", "json"])
        return next(str(one["version"]) for one in json.loads(listed) if one["name"].lower() == distribution)
