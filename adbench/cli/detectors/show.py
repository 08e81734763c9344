"""``adbench show``: what a detector's file holds."""

from __future__ import annotations

from pathlib import Path

import click

from adbench.cli.detectors.choices import detector_file
from adbench.cli.screen import echo, echo_json


@click.command("show")
@detector_file
@click.option("--json", "as_json", is_flag=True, help="Print all that the file says in words, as JSON.")
def command(file: Path, *, as_json: bool) -> None:
    """Show what a detector is: method, images, threshold, weights, versions, figures. No plugin is needed for that."""
    from adbench.detector.store.file import read_description, read_facts

    if as_json:
        echo_json(read_description(file).model_dump(mode="json", by_alias=True))
        return
    for name, value in read_facts(file).items():
        echo(f"{name}: {value}")
