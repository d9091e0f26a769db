"""Options and steps that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from gitml.project.project import Project, open_project

F = TypeVar("F", bound=Callable[..., Any])


def json_option(function: F) -> F:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")(function)


def quiet_option(function: F) -> F:
    """Add `-q`."""
    return click.option("-q", "--quiet", is_flag=True, help="Print errors only.")(function)


def steps_argument(function: F) -> F:
    """Add `[STEP]…`."""
    return click.argument("steps", nargs=-1, metavar="[STEP]...", shell_complete=complete_steps)(function)


def complete_steps(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Name the steps that begin with what was typed."""
    with project_here() as project:
        steps = project.pipeline().steps.values()
        names = dict.fromkeys(name for step in steps for name in (step.name, step.id))
        return [name for name in names if name.startswith(incomplete)]


@contextmanager
def project_here() -> Iterator[Project]:
    """Open the project of the current folder, and close it with what was learnt written down."""
    project = open_project(os.getcwd(), os.environ)
    try:
        yield project
    finally:
        project.close()
