"""The `gitml` command: finds the module of a subcommand only when it is called, and maps errors to exit codes once."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from gitml.cli.terminal import error_lines
from gitml.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, GitmlError, system_error_hint, system_error_text
from gitml.version import __version__

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS = {
    "init": "set up a repository",
    "demo": "write a complete working example",
    "repro": "bring steps up to date",
    "status": "show what is fresh, stale or unknown",
    "add": "record raw data as a source",
    "rm": "stop tracking a source",
    "mv": "rename a source",
    "why": "explain why a step is stale, part by part",
    "show": "show a step or a run: code found, card, log",
    "graph": "draw the pipeline as text, Mermaid or DOT",
    "lint": "show what looks wrong in the declaration",
    "runs": "list the runs that are known here",
    "update": "download what is newer where sources are published",
    "checkout": "make the worktree match what is recorded",
    "gc": "delete from the cache what nothing needs",
    "du": "show what fills the cache",
    "accept": "let outputs stand for a new key",
    "verify": "prove the cache whole",
    "config": "show or set where the cache lies and how files are linked to it",
    "completion": "print the shell's completion script",
}
"""Every command with its line of help, so that `gitml --help` loads none of them."""


class Commands(click.Group):
    """Loads `gitml.cli.<name>` when its command is called (the import budget of `docs/design.md` section 9)."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command's module."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"gitml.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest command when one is not known."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names of commands without importing them."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        from click.shell_completion import CompletionItem

        return [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with `gitml demo`, or `gitml init` in a repository of yours.",
)
@click.version_option(__version__, prog_name="gitml")
def gitml() -> None:
    """Make for machine learning, native to Git.

    Steps declared in gitml.toml are hashed from their code, parameters and inputs; only stale steps run, and every
    artifact can be traced to a commit.
    """


def run(arguments: Sequence[str]) -> int:
    """Run one command and give its exit code; every error that a user can act on is printed here."""
    try:
        result = gitml.main(args=list(arguments), prog_name="gitml", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except GitmlError as error:
        _print_error(error_lines(error.message, error.hint))
        return error.exit_code
    except BrokenPipeError:
        # Whoever reads us has left (`gitml status | head`): that is not a failure, and there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except OSError as error:
        _print_error(error_lines(system_error_text(error), system_error_hint(error)))
        _drop_what_cannot_be_printed()
        return EXIT_FAILED
    return result if isinstance(result, int) else 0


def _drop_what_cannot_be_printed() -> None:
    """Keep Python from trying once more at its end to write to a full device, with an exit code of its own (120)."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_error(lines: list[str]) -> None:
    for line in lines:
        click.echo(line, err=True)
