"""`gitml completion`: the script by which a shell completes commands, options and step names."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from gitml.errors import EXIT_OK

PROGRAM = "gitml"
VARIABLE = "_GITML_COMPLETE"


@click.command(
    epilog='Install it for good: in ~/.bashrc  eval "$(gitml completion bash)"  in ~/.zshrc  eval "$(gitml'
    ' completion zsh)"  and for fish  gitml completion fish > ~/.config/fish/completions/gitml.fish'
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, *, shell: str) -> int:
    """Print the completion script of a shell, to be evaluated by it."""
    kind = get_completion_class(shell)
    assert kind is not None, shell
    group = ctx.find_root().command
    complete = kind(group, {}, PROGRAM, VARIABLE)
    # Not `source()`: for bash it starts a bash to ask its version, which a script printed for another host cannot use.
    click.echo(complete.source_template % complete.source_vars())
    return EXIT_OK
