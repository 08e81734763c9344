"""The command `adbench serve`: detectors behind an HTTP server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adbench import hookimpl

if TYPE_CHECKING:
    import click

VARIABLES = ("ADBENCH_TOKEN",)
"""The environment variables that the plugin reads."""


@hookimpl
def register_commands(cli: click.Group) -> None:
    """The one command: ``serve``."""
    from adbench_serve.command import command

    cli.add_command(command)
