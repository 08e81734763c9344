"""``adbench mlflow``: finished runs as MLflow runs."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("mlflow")
@click.argument("runs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--experiment", default="adbench", show_default=True, metavar="NAME", help="The experiment in MLflow.")
@click.option(
    "--uri",
    metavar="ADDRESS",
    help="The tracking server, such as http://localhost:5000, or a folder as file:PATH.",
    show_default="MLFLOW_TRACKING_URI, or MLflow's own default",
)
def command(runs: tuple[Path, ...], experiment: str, uri: str | None) -> int:
    """Send every record in RUNS to MLflow, failed units included.

    A record that is there already gets no second run: its figures and pictures are written into the one that it has.

    \b
    adbench mlflow runs --experiment screws --uri http://localhost:5000
    """  # noqa: D301  \b is click's mark for a paragraph to keep as it is
    from adbench.records import read_runs
    from adbench_mlflow.tracking import Tracker

    tracker, found = Tracker(experiment, uri), read_runs(*runs)
    for run in found:
        tracker.send(run.record.to_json(), run.folder)
    click.echo(f"records sent: {len(found)}; experiment {experiment!r} at {tracker.address}")
    return 0
