"""`gitml init`."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterator

import click

from gitml.cli.terminal import printable, use_colour
from gitml.errors import EXIT_FAILED, EXIT_OK, UsageError
from gitml.project.scaffold import Proposal, propose, write


@click.command(epilog="Example: gitml init — look at the scripts here, show a gitml.toml for them, and ask.")
@click.option("-y", "--yes", is_flag=True, help="Write without asking.")
def command(*, yes: bool) -> int:
    """Set up a project: write a commented gitml.toml for the scripts that are found here.

    What is going to be written is shown first. What scripts read and write is guessed, as comments for you to mend.
    """
    proposal = propose(os.getcwd(), os.environ)
    click.echo("\n".join(_diff(proposal)))
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("nothing was written: there is no terminal to ask on", hint="gitml init --yes")
        if not click.confirm(f"Write {len(proposal.steps)} steps to gitml.toml?", default=True, err=True):
            click.echo("nothing was written", err=True)
            return EXIT_FAILED
    write(proposal)
    click.echo("wrote gitml.toml: say in it what each step reads and writes, then try gitml status", err=True)
    return EXIT_OK


def _diff(proposal: Proposal) -> Iterator[str]:
    """Show the new file as a diff against none."""
    colour = use_colour(sys.stdout)
    for line in difflib.unified_diff([], proposal.text.splitlines(), "/dev/null", "gitml.toml", lineterm=""):
        text = printable(line)
        yield click.style(text, fg="green") if colour and text.startswith("+") else text
