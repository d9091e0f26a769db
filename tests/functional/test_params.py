"""`gitml.params()` in a step and by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.functional.command import Project, new_project

MANIFEST = """
[project]
params = ["more.yaml"]
[params]
seed = 7
train = { lr = 0.01, epochs = 5, "odd.name" = [1, 2] }
[step.a]
run = "python a.py"
params = ["train.epochs", "seed", "more.rate", 'train."odd.name"']
outputs = ["out"]
"""
SCRIPT = "import gitml\nwith open('out', 'w') as f:\n    print(gitml.params(), file=f)\n"


def project(tmp_path: Path) -> Project:
    return new_project(tmp_path, MANIFEST, **{"more.yaml": "more: {rate: 1e-3, no: no}\n", "a.py": SCRIPT})


def test_a_step_sees_what_it_declares_and_nothing_else(tmp_path: Path) -> None:
    here = project(tmp_path)
    here.repro()
    assert eval(here.read("out")) == {
        "seed": 7,
        "train": {"epochs": 5, "odd.name": [1, 2]},
        "more": {"rate": 0.001},
    }


def test_a_script_that_is_started_by_hand_sees_all(tmp_path: Path) -> None:
    here = project(tmp_path)
    subprocess.run([sys.executable, "a.py"], cwd=here.path, env=here.environ, check=True)
    assert eval(here.read("out")) == {
        "seed": 7,
        "train": {"lr": 0.01, "epochs": 5, "odd.name": [1, 2]},
        "more": {"rate": 0.001, "no": "no"},
    }


def test_importing_gitml_in_a_script_loads_nothing_else() -> None:
    code = "import sys, gitml; print([m for m in sys.modules if m.startswith('gitml')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['gitml.version', 'gitml']"
