"""``adbench completion``: the script that makes a shell complete adbench's commands, options and names."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from adbench.cli.completion import VARIABLE


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash  add to ~/.bashrc:  eval "$(adbench completion bash)"
    zsh   add to ~/.zshrc:   eval "$(adbench completion zsh)"
    fish  write once:        adbench completion fish > ~/.config/fish/completions/adbench.fish

    Then Tab completes commands, options, recipes, components with their options, datasets and categories.
    """  # noqa: D301  \b tells click not to wrap the paragraph
    found = get_completion_class(shell)
    assert found is not None, "click knows these three shells"
    click.echo(found(ctx.find_root().command, {}, "adbench", VARIABLE).source())
