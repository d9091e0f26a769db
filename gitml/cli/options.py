"""Options and steps that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gitml.errors import GitmlError
from gitml.project.place import Place, find_place

if TYPE_CHECKING:
    from gitml.project.project import Project

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
    """Name the steps that begin with what was typed; none, in the midst of a line, where the declaration is wrong."""
    try:
        with project_here() as project:
            steps = project.pipeline().steps.values()
    except (GitmlError, OSError):
        return []
    names = dict.fromkeys(name for step in steps for name in (step.name, step.id))
    return [name for name in names if name.startswith(incomplete)]


def place_here() -> Place:
    """Find the project of the current folder."""
    return find_place(os.getcwd(), os.environ)


@contextmanager
def project_here(place: Place | None = None) -> Iterator[Project]:
    """Open the project of the current folder, and close it with what was learnt written down."""
    from gitml.project.project import open_project  # loads the engine, which the fast path does without

    project = open_project(place or place_here(), os.environ)
    try:
        yield project
    finally:
        project.close()
