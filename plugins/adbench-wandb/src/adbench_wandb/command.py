"""``adbench wandb``: finished runs as runs of Weights & Biases."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("wandb")
@click.argument("runs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--project", default="adbench", show_default=True, metavar="NAME", help="The project.")
@click.option("--entity", metavar="NAME", help="The user or team of the project.", show_default="you")
@click.option("--offline", is_flag=True, help="Write below ./wandb and upload nothing; 'wandb sync' does that later.")
def command(runs: tuple[Path, ...], project: str, entity: str | None, *, offline: bool) -> int:
    """Send every record in RUNS to Weights & Biases, failed units included.

    A record that is there already gets no second run: its figures and pictures are written into the one that it has.

    \b
    adbench wandb runs --project screws --offline
    """  # noqa: D301  \b is click's mark for a paragraph to keep as it is
    from adbench.records import read_runs
    from adbench_wandb.tracking import Tracker

    tracker, found = Tracker(project, entity, "offline" if offline else None), read_runs(*runs)
    for run in found:
        where = tracker.send(run.record.to_json(), run.folder)
    click.echo(f"records sent: {len(found)}; project {project!r}, the last at {where}")
    return 0
