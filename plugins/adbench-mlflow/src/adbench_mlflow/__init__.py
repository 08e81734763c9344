"""A run in MLflow for each record: while units run, if `ADBENCH_MLFLOW` names an experiment, or afterwards."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adbench import hookimpl

if TYPE_CHECKING:
    import click

VARIABLE = "ADBENCH_MLFLOW"
"""The environment variable with the experiment's name; nothing is sent without it."""
VARIABLES = (VARIABLE,)
"""The environment variables that the plugin reads."""


@hookimpl
def job_finished(record: dict[str, Any], folder: Path | None) -> None:
    """Send the record of a unit, if the user has named an experiment."""
    experiment = os.environ.get(VARIABLE, "").strip()
    if experiment:
        from adbench_mlflow.tracking import Tracker

        Tracker(experiment).send(record, folder)


@hookimpl
def register_commands(cli: click.Group) -> None:
    """The one command: ``mlflow``."""
    from adbench_mlflow.command import command

    cli.add_command(command)
