"""What the path of `status` may import: a no-op must cost no more than Python and the stats."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.functional.command import Project, new_project

ALLOWED = {"gitml", "click", "tomli", "xxhash", "blake3"}
COMPILED = "__mypyc"
"""How the compiled part of a package (tomli) names itself."""
CALL = """
import json, sys
before = set(sys.modules)
sys.path.insert(0, {site!r})
from gitml.cli.main import run
code = run(sys.argv[1:])
sys.stdout.flush()
found = sorted(set(sys.modules) - before)
print(json.dumps([code, found, [getattr(sys.modules[m], "__file__", None) for m in found]]), file=sys.stderr)
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    manifest = '[step.a]\nrun = "python main.py"\ninputs = ["x"]\noutputs = ["out"]\n'
    made = new_project(tmp_path, manifest, x="1", **{"main.py": "open('out', 'w')\n"})
    made.repro()
    made.repro()
    return made


def imported(project: Project, *args: str) -> set[str]:
    """Top-level modules outside the standard library that a call imports."""
    import gitml

    site = str(Path(gitml.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", CALL.format(site=site), *args],
        cwd=project.path,
        env=project.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    code, names, files = json.loads(done.stderr.splitlines()[-1])
    assert code == 0
    own = set(sys.stdlib_module_names)
    pairs = zip(names, files, strict=True)
    found = {name.partition(".")[0] for name, file in pairs if file is not None}
    return {name for name in found if name not in own and not name.endswith(COMPILED)}


@pytest.mark.parametrize("args", [["status"], ["status", "--json"], ["repro"], ["repro", "-n"]])
def test_a_no_op_imports_no_more_than_it_may(project: Project, args: list[str]) -> None:
    found = imported(project, *args)
    assert "gitml" in found
    assert found <= ALLOWED


@pytest.mark.parametrize("args", [["status"], ["repro"]])
def test_neither_does_a_full_look(project: Project, args: list[str]) -> None:
    for path in project.machine.glob("state.db*"):
        path.unlink()
    assert imported(project, *args) <= ALLOWED


def test_a_stale_verdict_imports_no_more(project: Project) -> None:
    project.write("x", "2")
    assert imported(project, "status") <= ALLOWED


def test_help_imports_click_alone(project: Project) -> None:
    assert imported(project, "--help") <= {"gitml", "click"}
