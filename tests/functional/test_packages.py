"""Packages: keyed where they are declared, reported as drift where they are not."""

from __future__ import annotations

import json
from pathlib import Path

from tests.functional.command import Project, new_project

KEYED = """
[project]
environment = "uv.lock"
[step.a]
run = 'echo a >> "$RAN"; echo a > a'
outputs = ["a"]
packages = ["torch"]
"""


def locked(torch: str, sympy: str, rich: str) -> str:
    return "\n".join(
        f'[[package]]\nname = "{name}"\nversion = "{version}"\n{needs}'
        for name, version, needs in (
            ("torch", torch, 'dependencies = [{ name = "sympy" }]\n'),
            ("sympy", sympy, ""),
            ("rich", rich, ""),
        )
    )


def test_a_locked_version_of_a_declared_package_or_of_what_it_needs_is_part_of_the_key(tmp_path: Path) -> None:
    project = new_project(tmp_path, KEYED, **{"uv.lock": locked("2.1", "1.12", "13.0")})
    assert project.repro().ran == ["a"]
    project.write("uv.lock", locked("2.1", "1.12", "14.0"))
    assert project.repro().ran == []
    project.write("uv.lock", locked("2.1", "1.13", "14.0"))
    again = project.repro()
    assert again.ran == ["a"]
    assert again.reasons["a"] == ["package torch changed"]
    project.write("uv.lock", locked("2.2", "1.13", "14.0"))
    assert project.repro().ran == ["a"]
    project.write("uv.lock", locked("2.1", "1.12", "13.0"))
    assert project.repro().restored == ["a"]


def with_environment(tmp_path: Path) -> tuple[Project, Path]:
    """Make a project whose `python` belongs to an environment with one distribution, `wheel` 1.0."""
    project = new_project(tmp_path, '[step.a]\nrun = "echo a > a"\noutputs = ["a"]\n')
    venv = tmp_path / "venv"
    packages = venv / "lib" / "python3.11" / "site-packages"
    (packages / "wheel-1.0.dist-info").mkdir(parents=True)
    (venv / "bin").mkdir()
    (venv / "bin" / "python").symlink_to("/bin/true")
    (venv / "pyvenv.cfg").write_text("version = 3.11.9\n")
    project.environ["PATH"] = f"{venv / 'bin'}:{project.environ['PATH']}"
    return project, packages


def test_an_installed_version_is_recorded_and_its_change_is_drift_not_staleness(tmp_path: Path) -> None:
    project, packages = with_environment(tmp_path)
    project.repro()
    card = json.loads(project.gitml("show", "a", "--json").stdout)
    assert '"wheel": "1.0"' in json.dumps(card)
    assert project.gitml("status").stdout == "✓ a  fresh\n"
    (packages / "wheel-1.0.dist-info").rename(packages / "wheel-1.1.dist-info")
    assert project.gitml("status").stdout == "✓ a  fresh  drift: wheel 1.0 -> 1.1\n"
    row = json.loads(project.gitml("status", "--json").stdout)["steps"][0]
    assert row["drift"] == {"wheel": {"recorded": "1.0", "installed": "1.1"}}
    assert project.gitml("status", "--check").code == 0
    assert project.repro().ran == []


def test_a_package_that_came_later_is_no_drift(tmp_path: Path) -> None:
    project, packages = with_environment(tmp_path)
    project.repro()
    (packages / "other-2.0.dist-info").mkdir()
    assert project.gitml("status").stdout == "✓ a  fresh\n"
    (packages / "wheel-1.0.dist-info").rmdir()
    assert "drift: wheel 1.0 -> -" in project.gitml("status").stdout
