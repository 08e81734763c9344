"""Runs as a folder for the library `datasets`, and leaderboards as a Space. Nothing is uploaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adbench import hookimpl

if TYPE_CHECKING:
    import click


@hookimpl
def register_commands(cli: click.Group) -> None:
    """The one command: ``huggingface``."""
    from adbench_huggingface.command import group

    cli.add_command(group)
