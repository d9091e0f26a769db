"""The command line: thin click functions, rendering, exit codes. Only here: click, print, colour, `sys.exit`."""

from __future__ import annotations

import gc
import os
import sys

# Most calls end within a tenth of a second, and of that the collector took a tenth: modules are not garbage. `repro`
# turns it on again where it starts to work.
gc.disable()

try:
    from gitml.cli.main import run
except KeyboardInterrupt:  # half of a short call is imports: Ctrl-C there is no more a bug than Ctrl-C later
    sys.exit(130)


def main() -> None:
    """Run `gitml` with the arguments of the process and end it."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller (`>&-`): what is said there is for nobody
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - as long as the process
    sys.exit(run(sys.argv[1:]))
