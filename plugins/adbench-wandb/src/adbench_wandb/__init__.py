"""A run in Weights & Biases for each record: while units run, if `ADBENCH_WANDB` names a project, or afterwards."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adbench import hookimpl

if TYPE_CHECKING:
    import click

VARIABLE = "ADBENCH_WANDB"
"""The environment variable with the project's name; nothing is sent without it."""
VARIABLES = (VARIABLE,)
"""The environment variables that the plugin reads."""


@hookimpl
def job_finished(record: dict[str, Any], folder: Path | None) -> None:
    """Send the record of a unit, if the user has named a project."""
    project = os.environ.get(VARIABLE, "").strip()
    if project:
        from adbench_wandb.tracking import Tracker

        Tracker(project).send(record, folder)


@hookimpl
def register_commands(cli: click.Group) -> None:
    """The one command: ``wandb``."""
    from adbench_wandb.command import command

    cli.add_command(command)
