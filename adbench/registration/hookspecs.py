"""The four hooks through which a plugin meets adbench. An implementation may take fewer arguments than the hook has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import click

    from adbench.api.component import Component

GROUP = "adbench"
hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def register_components(register: Callable[[type[Component]], None]) -> None:
    """Call ``register(cls)`` once for each component class that the plugin offers."""


@hookspec
def register_recipes(register: Callable[[Path], None]) -> None:
    """Call ``register(folder)`` for a folder of recipe files (``*.yaml``) inside the package."""


@hookspec
def register_commands(cli: click.Group) -> None:
    """Add subcommands to the ``adbench`` command line."""


@hookspec
def job_finished(record: dict[str, Any], folder: Path | None) -> None:
    """A unit has ended, well or badly, and its record is written; for trackers. Must not raise.

    Args:
        record: the record as JSON.
        folder: the run's folder with the record and its pictures; None where this record could not be written, or where
            an earlier result was kept instead.
    """
