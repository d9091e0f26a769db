"""What holds for every command: help with an example, plain text for a pipe, no trace of colour."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.functional.pipelines import training

COMMANDS = ("why", "show", "graph", "lint", "init", "runs", "accept")


@pytest.mark.parametrize("command", [*COMMANDS, "completion"])
def test_help_has_an_example(tmp_path: Path, command: str) -> None:
    text = training(tmp_path).gitml(command, "--help").stdout
    assert "Example" in text or "eval" in text


@pytest.mark.parametrize("args", [("why",), ("show", "prepare"), ("graph", "--status"), ("lint",), ("runs",)])
def test_a_pipe_gets_no_escape_sequences(tmp_path: Path, args: tuple[str, ...]) -> None:
    project = training(tmp_path)
    project.repro()
    assert "\x1b" not in project.gitml(*args, environ={"TERM": "xterm-256color"}).stdout


@pytest.mark.parametrize("command", ["why", "show", "graph", "lint", "runs"])
def test_a_mistake_in_the_declaration_is_told_with_its_place(tmp_path: Path, command: str) -> None:
    project = training(tmp_path)
    project.write("gitml.toml", project.read("gitml.toml").replace("outputs = [", "outputz = [", 1))
    called = project.gitml(command, "prepare", code=2)
    assert "gitml.toml:" in called.stderr
    assert "outputs" in called.stderr
    assert called.stdout == ""
