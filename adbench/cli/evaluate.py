"""``adbench evaluate``: metrics anew from predictions on disk; no backbone, no GPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from adbench.cli.options import dataset_from
from adbench.errors import AdbenchError, StorageError

if TYPE_CHECKING:
    from adbench.engine.record import PredictionsInfo, ResultRecord
    from adbench.registry import Registry


@click.command("evaluate")
@click.argument("runs", type=click.Path(exists=True, path_type=Path), nargs=-1, required=True)
@click.option("--data", metavar="NAME|PATH", help="The dataset, where the record's own name is not enough (a folder).")
@click.option("--json", "as_json", is_flag=True, help="Print the records, one a line, and nothing else on stdout.")
def command(runs: tuple[Path, ...], data: str | None, as_json: bool) -> int:
    """Compute all metrics anew for every finished run in RUNS, and write them into its record.

    A run whose data has changed since is refused, and left as it is. One that failed is left out.
    """
    from adbench.engine.record import find_runs, read_record
    from adbench.registry import installed

    folders = [folder for root in runs for folder in find_runs(root)]
    if not folders:
        raise StorageError(f"no record below {', '.join(map(str, runs))}; give a folder that 'adbench run' wrote")
    failures = 0
    for folder in folders:
        try:
            before = read_record(folder)
            if before.predictions is None:
                click.echo(f"{folder}: left out: it ended as {before.status!r}, without predictions", err=True)
                continue
            after = _evaluate(installed(), folder, before, before.predictions, data)
        except AdbenchError as error:
            failures += 1
            click.echo(f"error: {folder}: {error}", err=True)
            continue
        click.echo(json.dumps(after.to_json(), sort_keys=True) if as_json else _changes(folder, before, after))
    return 1 if failures else 0


def _evaluate(
    registry: Registry, folder: Path, record: ResultRecord, info: PredictionsInfo, data: str | None
) -> ResultRecord:
    """The record with its metrics computed anew, written where they differ."""
    from pydantic import ValidationError

    from adbench.api.metric import Metric
    from adbench.engine.evaluate import Judge, measure
    from adbench.engine.geometry import MapSpec
    from adbench.engine.predictions import read_predictions
    from adbench.engine.protocol import Protocol
    from adbench.engine.record import write_record

    try:
        protocol = Protocol.model_validate(record.task.protocol)
        spec = MapSpec.model_validate(record.recipe.spec.get("map"))
    except ValidationError as error:
        raise StorageError(
            f"its record has no usable protocol or map: {error.errors()[0]['msg']}; run it anew"
        ) from None
    dataset, task = _same_task(registry, record, protocol, data)
    judge = Judge(dataset, task.test, read_predictions(folder, info), spec, protocol.grid)
    metrics = [cast("Metric", entry.cls()) for entry in registry.entries("metric")]
    after = record.model_copy(update={"metrics": measure(metrics, judge.evidence())})
    if after != record:
        write_record(folder, after)
    return after


def _same_task(registry: Registry, record: ResultRecord, protocol: Any, data: str | None) -> Any:
    from adbench.engine.protocol import make_task

    if data is None and ("dataset", record.task.dataset) not in registry.components:
        raise StorageError(f"it was made on the folder {record.task.dataset!r}; say where it is with --data PATH")
    dataset = dataset_from(registry, data or record.task.dataset)
    task = make_task(dataset, record.task.category, protocol, record.task.seed, skip_bad=bool(record.task.skipped))
    if task.sha != record.task.samples_sha:
        raise StorageError("the images or masks are not those that it was made on; give the same data with --data")
    return dataset, task


def _changes(folder: Path, before: ResultRecord, after: ResultRecord) -> str:
    """One line that says what has changed."""
    names = sorted({*before.metrics, *after.metrics})
    changed = [name for name in names if before.metrics.get(name) != after.metrics.get(name)]
    return f"{folder}: " + (f"changed: {', '.join(changed)}" if changed else f"{len(names)} metrics, none changed")
