"""A small training pipeline that the tests of the explaining commands share."""

from __future__ import annotations

from pathlib import Path

from tests.functional.command import Project, new_project

MANIFEST = """\
[params]
lr = 0.5
seed = 1

[step.prepare]
run = "python prepare.py"
description = "Join the raw files."
inputs = ["raw"]
outputs = ["clean.txt"]

[step.train]
run = "python train.py --lr ${{ params.lr }} --fold ${{ matrix.fold }}"
matrix = { fold = [0, 1] }
inputs = ["clean.txt"]
params = ["seed"]
outputs = ["models/${{ matrix.fold }}.txt"]
metrics = ["scores/${{ matrix.fold }}.json"]

[step.report]
run = "cat scores/0.json scores/1.json > report.txt"
inputs = ["scores/*.json"]
outputs = ["report.txt"]
"""

PREPARE = """\
import os

names = sorted(os.listdir("raw"))
open("clean.txt", "w").write("".join(open("raw/" + name).read() for name in names))
print("joined", len(names), "files")
"""

TRAIN = """\
import json
import os
import sys

from model import weights

lr, fold = float(sys.argv[2]), sys.argv[4]
os.makedirs("models", exist_ok=True)
os.makedirs("scores", exist_ok=True)
with open("models/" + fold + ".txt", "w") as file:
    file.write(str(weights.START * lr))
with open("scores/" + fold + ".json", "w") as file:
    json.dump({"accuracy": lr + int(fold) / 10, "loss": {"last": 1 - lr}}, file)
"""


def training(folder: Path) -> Project:
    """Make the pipeline in a repository, committed and not yet run."""
    project = new_project(folder, MANIFEST)
    project.write("prepare.py", PREPARE)
    project.write("train.py", TRAIN)
    project.write("model/__init__.py")
    project.write("model/weights.py", "START = 2\n")
    project.write("raw/a.txt", "a\n")
    project.write("raw/b.txt", "b\n")
    project.write(".gitignore", "__pycache__/\n")
    project.commit("files")
    return project


def change(project: Project, path: str, before: str, after: str) -> None:
    """Replace text in a file that has it."""
    text = project.read(path)
    assert before in text
    project.write(path, text.replace(before, after))
