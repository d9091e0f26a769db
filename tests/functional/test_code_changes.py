"""Which edits of code make a step stale, and which do not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.functional.command import Project, new_project

FILES = {
    "main.py": "import app.work\nopen('out', 'w').write(str(app.work.value()))\n",
    "app/__init__.py": "",
    "app/work.py": "from .deep import numbers\n\n\ndef value():\n    return numbers.make(1, 2)\n",
    "app/deep/__init__.py": "",
    "app/deep/numbers.py": "def make(a, b):\n    if a:\n        return [a,\n                b]\n    return None\n",
    "app/unused.py": "x = 1\n",
    "other.py": "x = 1\n",
}
MANIFEST = '[step.a]\nrun = "echo a >> $RAN; python main.py"\noutputs = ["out"]\n'


@pytest.fixture
def app(tmp_path: Path) -> Project:
    project = new_project(tmp_path, MANIFEST, **FILES)
    project.repro()
    project.calls()
    return project


def runs(project: Project) -> bool:
    """Bring up to date; tell whether the step ran."""
    called = project.repro()
    assert bool(project.calls()) == bool(called.ran)
    return bool(called.ran)


def test_a_change_two_packages_away_makes_stale(app: Project) -> None:
    app.write("app/deep/numbers.py", FILES["app/deep/numbers.py"].replace("[a,", "[b,"))
    called = app.repro()
    assert called.ran == ["a"]
    assert called.reasons["a"] == ["code app/deep/numbers.py changed"]


NUMBERS = FILES["app/deep/numbers.py"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("def make", "# a comment\ndef make"),
        ("return None", "return None  # why not"),
        ("def make", "\n\n\ndef make"),
        ("        return [a,\n                b]", "        return [a, b]"),
        ("        return [a,", "            return [a,"),
        ("a, b):", "a,\n  b):"),
        ("\n", "\r\n"),
    ],
)
def test_what_python_does_not_see_changes_nothing(app: Project, before: str, after: str) -> None:
    assert before in NUMBERS
    app.write("app/deep/numbers.py", NUMBERS.replace(before, after))
    assert not runs(app)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("def make", '"""A docstring."""\ndef make'),
        ("if a:", "if (a):"),
        ("def make", "# type: ignore is none of these\n# type: (int, int) -> list\ndef make"),
        ("def make", "#!/usr/bin/env python\ndef make"),
        ("return None", "return 'None'"),
    ],
)
def test_what_a_program_can_see_makes_stale(app: Project, before: str, after: str) -> None:
    assert before in NUMBERS
    app.write("app/deep/numbers.py", NUMBERS.replace(before, after))
    assert runs(app)


def test_another_indent_width_changes_nothing(app: Project) -> None:
    app.write("app/deep/numbers.py", FILES["app/deep/numbers.py"].replace("    ", "  "))
    assert not runs(app)


@pytest.mark.parametrize("path", ["app/unused.py", "other.py", "README.md"])
def test_a_file_that_is_not_reached_changes_nothing(app: Project, path: str) -> None:
    app.write(path, "x = 2\n")
    assert not runs(app)


def test_an_init_on_the_way_counts(app: Project) -> None:
    app.write("app/deep/__init__.py", "import sys\n")
    assert runs(app)


def test_a_new_module_that_shadows_another_makes_stale(app: Project) -> None:
    app.write("app/deep/numbers/__init__.py", "def make(a, b):\n    return 'shadow'\n")
    assert runs(app)
    assert app.read("out") == "shadow"


def test_a_new_import_brings_its_module(app: Project) -> None:
    app.write("app/work.py", "import app.unused\n" + FILES["app/work.py"])
    assert runs(app)
    app.write("app/unused.py", "x = 2\n")
    assert runs(app)


def test_going_back_restores(app: Project) -> None:
    app.write("app/work.py", FILES["app/work.py"].replace("(1, 2)", "(3, 4)"))
    assert runs(app)
    app.write("app/work.py", FILES["app/work.py"])
    assert app.repro().restored == ["a"]
    assert app.read("out") == "[1, 2]"


def test_committing_changes_nothing(app: Project) -> None:
    app.commit("locks")
    assert not runs(app)


def test_a_module_that_git_does_not_track_yet_counts(app: Project) -> None:
    app.write("main.py", "import fresh\n" + FILES["main.py"])
    app.write("fresh.py", "x = 1\n")
    assert runs(app)
    app.write("fresh.py", "x = 2\n")
    assert runs(app)
    app.commit("tracked now")
    assert not runs(app)


def test_a_module_that_is_missing_and_appears(app: Project) -> None:
    app.write("main.py", "try:\n    import maybe\nexcept ImportError:\n    pass\n" + FILES["main.py"])
    assert runs(app)
    app.write("maybe.py", "x = 1\n")
    assert runs(app)


def test_src_layout_with_python_m(tmp_path: Path) -> None:
    files = {
        "src/pkg/__init__.py": "",
        "src/pkg/train.py": "from pkg import model\nopen('out', 'w').write(model.NAME)\n",
        "src/pkg/model.py": "NAME = 'one'\n",
    }
    manifest = '[step.a]\nrun = "PYTHONPATH=src python -m pkg.train; echo a >> $RAN"\noutputs = ["out"]\n'
    project = new_project(tmp_path, manifest, **files)
    assert runs(project)
    project.write("src/pkg/model.py", "NAME = 'two'\n")
    assert runs(project)
    assert project.read("out") == "two"
    project.write("src/pkg/model.py", "NAME = 'two'  # same\n")
    assert not runs(project)


def test_a_namespace_package(tmp_path: Path) -> None:
    files = {"main.py": "import space.inner.tool\n", "space/inner/tool.py": "x = 1\n"}
    project = new_project(tmp_path, '[step.a]\nrun = "python main.py; echo a >> $RAN"\n', **files)
    assert runs(project)
    project.write("space/inner/tool.py", "x = 2\n")
    assert runs(project)


def test_a_package_run_by_its_main(tmp_path: Path) -> None:
    files = {"tool/__init__.py": "", "tool/__main__.py": "x = 1\n"}
    project = new_project(tmp_path, '[step.a]\nrun = "python -m tool; echo a >> $RAN"\n', **files)
    assert runs(project)
    project.write("tool/__main__.py", "x = 2\n")
    assert runs(project)


LAUNCHER = '#!/bin/sh\nwhile [ "$1" != "train.py" ]; do shift; done\nexec python "$@"\n'


@pytest.mark.parametrize(
    "command",
    [
        "uv run train.py",
        "uv run --no-sync python train.py",
        "torchrun --nproc-per-node 2 train.py --epochs 1",
        "torchrun --standalone train.py",
        "uv run torchrun --nproc_per_node=2 train.py",
        "accelerate launch train.py",
    ],
)
def test_behind_a_launcher(tmp_path: Path, command: str) -> None:
    files = {"train.py": "import model\n", "model.py": "x = 1\n"}
    project = new_project(tmp_path, f'[step.a]\nrun = "{command}; echo a >> $RAN"\n', **files)
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("uv", "torchrun", "accelerate"):
        (folder / name).write_text(LAUNCHER)
        (folder / name).chmod(0o755)
    project.environ["PATH"] = f"{folder}{os.pathsep}{project.environ['PATH']}"
    assert runs(project)
    project.write("model.py", "x = 1  # the same\n")
    assert not runs(project)
    project.write("model.py", "x = 2\n")
    assert runs(project)


def test_declared_code(tmp_path: Path) -> None:
    manifest = '[step.a]\nrun = "echo a >> $RAN"\ncode = ["conf/*.ini", { path = "plug.py", exact = true }, "lib"]\n'
    files = {"conf/a.ini": "1", "plug.py": "x = 1\n", "lib/m.py": "y = 1\n"}
    project = new_project(tmp_path, manifest, **files)
    assert runs(project)
    project.write("conf/a.ini", "2")
    assert runs(project)
    project.write("conf/b.ini", "2")
    assert runs(project)
    project.write("plug.py", "x = 1  # exact\n")
    assert runs(project)
    project.write("lib/m.py", "y = 1  # not exact\n")
    assert not runs(project)
    project.write("lib/m.py", "y = 2\n")
    assert runs(project)
    project.write("conf/c.txt", "no")
    assert not runs(project)


def test_a_script_of_the_shell_counts_by_its_bytes(tmp_path: Path) -> None:
    project = new_project(tmp_path, '[step.a]\nrun = "sh go.sh"\n', **{"go.sh": "echo a >> $RAN\n"})
    assert runs(project)
    project.write("go.sh", "echo a >> $RAN # really\n")
    assert runs(project)


def test_a_step_of_one_module_does_not_know_the_other(tmp_path: Path) -> None:
    manifest = "".join(f'[step.{n}]\nrun = "echo {n} >> $RAN; python {n}.py"\n' for n in ("one", "two"))
    project = new_project(tmp_path, manifest, **{"one.py": "x = 1\n", "two.py": "x = 1\n"})
    project.repro()
    project.calls()
    project.write("two.py", "x = 2\n")
    assert project.repro().ran == project.calls() == ["two"]
