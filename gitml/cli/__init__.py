"""The command line: thin click functions, rendering, exit codes. Only here: click, print, colour, `sys.exit`."""

from __future__ import annotations

import sys

from gitml.cli.main import run


def main() -> None:
    """Run `gitml` with the arguments of the process and end it."""
    sys.exit(run(sys.argv[1:]))
