"""Run `gitml` while something else meddles with the files that it looks at, at a moment that is the same each time.

A program of a few lines is run in the process of `gitml` first. It may ask for a function to be called just before the
system is asked to open, make, rename or link something (Python's audit events tell of these, wherever they come from),
or just after bytes of a file were read. Forked children of that process meddle too.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.functional.command import LONGEST, Called, Project, ended

_PRELUDE = """
import json, os, sys

ARGS = json.loads(sys.argv[1])
WORDS = json.loads(sys.argv[2])
EVENTS = ("open", "os.listdir", "os.scandir", "os.mkdir", "os.rename", "os.link", "os.symlink", "os.remove", "os.rmdir")
import gitml.cli.add, gitml.cli.checkout, gitml.cli.repro
from gitml.cli.main import run


def once(act):
    # Whatever `act` does to files is seen by the hooks too.
    done = []

    def guarded(*args):
        if not done:
            done.append(True)
            act(*args)

    return guarded


def before(wanted, act):
    "Call `act(event, path)` before each event whose path satisfies `wanted`."
    busy = []

    def hook(event, args):
        if event in EVENTS and not busy and args and isinstance(args[0], (str, bytes)):
            path = os.fsdecode(args[0])
            if wanted(event, path, args):
                busy.append(True)
                try:
                    act(event, path)
                finally:
                    busy.clear()

    sys.addaudithook(hook)


def after_read(name, act):
    "Call `act(path)` after bytes of a file of that name were read, by whatever call of `os`."
    for call in ("read", "readv", "pread", "preadv"):
        setattr(os, call, reading(getattr(os, call), os.path, os.readlink, name, act))


def reading(real, path, readlink, name, act):
    def read(descriptor, *rest):
        found = real(descriptor, *rest)
        try:
            file = readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            return found
        if path.basename(file) == name:
            act(file)
        return found

    return read


"""
_RUN = """

sys.exit(run(ARGS))
"""


def meddled(project: Project, program: str, *args: str, words: Sequence[str] = (), code: int | None = 0) -> Called:
    """Run `gitml` with `program` before it; in there, `WORDS` are `words`."""
    source = _PRELUDE + program + _RUN
    done = subprocess.run(
        [sys.executable, "-c", source, json.dumps(args), json.dumps(list(words))],
        cwd=project.path,
        env={**project.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LONGEST,
        check=False,
    )
    return ended(args, done.returncode, done.stdout, done.stderr, code)
