"""Runs as a dataset of FiftyOne: one sample for each test image, with the scores and maps of every method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adbench import hookimpl

if TYPE_CHECKING:
    import click


@hookimpl
def register_commands(cli: click.Group) -> None:
    """The one command: ``fiftyone``."""
    from adbench_fiftyone.command import command

    cli.add_command(command)
