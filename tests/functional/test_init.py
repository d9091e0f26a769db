"""`gitml init`: a first declaration from the scripts that a repository has."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.functional.command import GITML, Project
from tests.repos import isolated_environ, new_repo

SCRIPT = """\
import argparse

import pandas

parser = argparse.ArgumentParser()
parser.add_argument("--data", default="data/raw.csv")
parser.add_argument("--out", default="build/clean.csv")

if __name__ == "__main__":
    frame = pandas.read_csv("data/raw.csv")
    frame.to_parquet("build/frame.parquet")
    with open("notes.txt", "w") as file:
        file.write("done")
    open(f"models/{len(frame)}.pt", "wb")
    print("not a path, http://example.org/x.csv, /etc/passwd.txt ../out.csv")
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    repo = new_repo(tmp_path / "project", environ=isolated_environ(tmp_path / "home"))
    return Project(repo, tmp_path / "ran.log")


def init(project: Project) -> str:
    project.gitml("init", "--yes")
    return project.read("gitml.toml")


def answered(project: Project, answer: bytes) -> tuple[int, str]:
    """Run `gitml init` at a terminal and answer its question."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer)
        done = subprocess.run(
            [GITML, "init"],
            cwd=project.path,
            env=project.environ,
            stdin=theirs,
            capture_output=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    return done.returncode, os.fsdecode(done.stderr)


def test_scripts_become_steps_that_status_can_judge(project: Project) -> None:
    project.write("train.py", 'import lib\n\nif __name__ == "__main__":\n    pass\n')
    project.write("lib.py", "x = 1\n")
    project.write("fetch.sh", "#!/usr/bin/env bash\ntrue\n")
    text = init(project)
    assert '[step.train]\nrun = "python train.py"' in text
    assert '[step.fetch]\nrun = "bash fetch.sh"' in text
    assert "lib.py" not in text
    assert project.states() == {"fetch": "stale", "train": "stale"}
    assert text.index("[step.fetch]") < text.index("[step.train]")


def test_modules_of_packages_are_started_as_modules(project: Project) -> None:
    main = 'from . import lib\nif __name__ == "__main__":\n    pass\n'
    for folder in ("pkg", "src/other"):
        project.write(f"{folder}/__init__.py")
        project.write(f"{folder}/lib.py", "x = 1\n")
        project.write(f"{folder}/train.py", main)
    project.write("tool/__init__.py")
    project.write("tool/__main__.py", "print(1)\n")
    text = init(project)
    assert '[step.train]\nrun = "python -m pkg.train"' in text
    assert '[step.other-train]\nrun = "PYTHONPATH=src python -m other.train"' in text
    assert '[step.tool]\nrun = "python -m tool"' in text
    code = project.gitml("show", "other-train").stdout
    assert "src/other/lib.py  imported by src/other/train.py:1" in code


def test_guesses_are_comments(project: Project) -> None:
    project.write("data/raw.csv", "1\n")
    project.write("prepare.py", SCRIPT)
    text = init(project)
    assert '# inputs = ["data/raw.csv"]  # named in prepare.py' in text
    assert '# outputs = ["build/clean.csv", "build/frame.parquet", "notes.txt"]' in text
    assert "passwd" not in text
    assert ".pt" not in text


def test_what_is_no_step_is_left_out(project: Project) -> None:
    main = 'if __name__ == "__main__":\n    pass\n'
    for path in ("tests/run.py", "test_x.py", "setup.py", ".github/x.py", "conftest.py", "ignored.py"):
        project.write(path, main)
    project.write("note.ipynb", "{}")
    project.write("library.py", "import argparse\n\ndef main():\n    argparse.ArgumentParser().parse_args()\n")
    project.write(".gitignore", "ignored.py\n")
    text = init(project)
    assert "\n[step." not in text
    assert "No script was found" in text
    assert project.states() == {}


def test_a_script_whose_code_git_ignores_is_mentioned_not_declared(project: Project) -> None:
    project.write("train.py", 'import secret\nif __name__ == "__main__":\n    pass\n')
    project.write("report.py", 'if __name__ == "__main__":\n    pass\n')
    project.write("secret.py", "x = 1\n")
    project.write(".gitignore", "secret.py\n")
    text = init(project)
    assert "# train.py is left out:" in text
    assert "secret.py is ignored by Git" in text
    assert project.states() == {"report": "stale"}


def test_odd_names_and_broken_scripts_do_no_harm(project: Project) -> None:
    main = 'if __name__ == "__main__":\n    pass\n'
    project.write("my script's.py", main)
    project.write("a/run.py", main)
    project.write("b/run.py", main)
    project.write("broken.py", main + "def (\n")
    project.write("new\nline.py", main)
    text = init(project)
    assert "[step.my_script_s]" in text
    assert set(project.states()) == {"my_script_s", "run", "b-run", "broken"}


def test_parameter_and_lock_files_are_mentioned(project: Project) -> None:
    project.write("params.yaml", "lr: 0.1\n")
    project.write("uv.lock", "version = 1\n")
    text = init(project)
    assert '# params = ["params.yaml"]' in text
    assert '# environment = "uv.lock"' in text


def test_without_a_terminal_it_shows_and_refuses(project: Project) -> None:
    project.write("train.py", 'if __name__ == "__main__":\n    pass\n')
    called = project.gitml("init", code=2)
    assert called.stdout.startswith("--- /dev/null\n+++ gitml.toml\n")
    assert "+[step.train]" in called.stdout
    assert "gitml init --yes" in called.stderr
    assert not project.exists("gitml.toml")


def test_at_a_terminal_it_asks(project: Project) -> None:
    code, said = answered(project, b"n\n")
    assert code == 1
    assert "nothing was written" in said
    assert not project.exists("gitml.toml")
    code, _ = answered(project, b"y\n")
    assert code == 0
    assert project.exists("gitml.toml")


@pytest.mark.parametrize("path", ["gitml.toml", "pyproject.toml"])
def test_a_declaration_that_is_there_is_left_alone(project: Project, path: str) -> None:
    text = "" if path == "gitml.toml" else '[tool.gitml.step.a]\nrun = "true"\n'
    project.write(path, text)
    assert "already" in project.gitml("init", "--yes", code=2).stderr
    assert project.read(path) == text
    assert path == "gitml.toml" or not project.exists("gitml.toml")


def test_another_tool_in_pyproject_is_no_declaration(project: Project) -> None:
    project.write("pyproject.toml", '[project]\nname = "gitml-user"\n')
    init(project)


def test_a_folder_below_the_top_becomes_a_project_of_its_own(project: Project) -> None:
    project.write("sub/train.py", 'if __name__ == "__main__":\n    pass\n')
    project.write("other/train.py", 'if __name__ == "__main__":\n    pass\n')
    project.gitml("init", "--yes", cwd="sub")
    assert 'run = "python train.py"' in project.read("sub/gitml.toml")
    assert "other" not in project.read("sub/gitml.toml")
    assert "train" in project.gitml("status", cwd="sub").stdout


def test_outside_of_a_repository_it_says_how_to_make_one(tmp_path: Path) -> None:
    environ = {**isolated_environ(tmp_path / "home"), "GIT_CEILING_DIRECTORIES": str(tmp_path)}
    done = subprocess.run([GITML, "init", "--yes"], cwd=tmp_path, env=environ, capture_output=True, check=False)
    assert done.returncode == 2
    assert b"git init" in done.stderr
