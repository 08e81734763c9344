"""``adbench evaluate``: metrics anew from predictions on disk; no backbone, no GPU."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from adbench.cli.options import parse_rule
from adbench.cli.origin import dataset_of
from adbench.errors import AdbenchError, StorageError

if TYPE_CHECKING:
    from adbench.api.metric import Evidence, Metric
    from adbench.engine.details import Details
    from adbench.engine.evaluate import Judge
    from adbench.engine.record import MetricInfo, ResultRecord
    from adbench.engine.threshold import Rule, Threshold
    from adbench.registry import Registry


@click.command("evaluate")
@click.argument("runs", type=click.Path(exists=True, path_type=Path), nargs=-1, required=True)
@click.option("--data", metavar="NAME|PATH", help="The dataset, where the record's own name is not enough (a folder).")
@click.option("--intervals", is_flag=True, help="Add 95 % confidence intervals, and details.json where it is missing.")
@click.option(
    "--draws",
    type=click.IntRange(100, 100_000),
    default=1000,
    show_default=True,
    help="How often --intervals draws the test images again.",
)
@click.option(
    "--threshold",
    "rule",
    callback=parse_rule,
    metavar="RULE",
    help="Set the threshold anew by this rule, from the scores of normal images that the run kept: see 'adbench run'.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the records, one a line, and nothing else on stdout.")
def command(
    runs: tuple[Path, ...], data: str | None, intervals: bool, draws: int, rule: Rule | None, as_json: bool
) -> int:
    """Compute all metrics anew for every finished run in RUNS, and write them into its record.

    A run whose data has changed since is refused, and left as it is. One that failed is left out.
    """
    from adbench.cli.plugins import installed
    from adbench.engine.record import find_runs, read_record

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
            after, threshold = _evaluate(installed(), folder, before, data, draws if intervals else 0, rule)
        except AdbenchError as error:
            failures += 1
            click.echo(f"error: {folder}: {error}", err=True)
            continue
        click.echo(json.dumps(after.to_json(), sort_keys=True) if as_json else _changes(folder, before, after))
        if threshold is not None and not as_json:
            click.echo(f"  {threshold}")
    return 1 if failures else 0


def _evaluate(
    registry: Registry, folder: Path, record: ResultRecord, data: str | None, draws: int, rule: Rule | None
) -> tuple[ResultRecord, Threshold | None]:
    """The record with its metrics computed anew, written where they differ. Without draws, intervals stay as they are.

    Returns:
        The record, and the threshold of the rule, if one is asked for.

    Raises:
        AdbenchError: the run cannot be evaluated; the message says why.
    """
    from adbench.engine.again import judge_of
    from adbench.engine.bootstrap import with_intervals
    from adbench.engine.details import write_details
    from adbench.engine.evaluate import measure
    from adbench.engine.record import write_record

    judge = judge_of(folder, record, dataset_of(registry, record, data))
    evidence, known = judge.evidence(), [cast("Metric", metric) for metric in registry.made("metric")]
    metrics = measure(known, evidence)
    metrics = with_intervals(metrics, judge, draws) if draws else _kept(record.metrics, metrics)
    after = record.model_copy(update={"metrics": metrics, "facts": {**record.facts, **judge.facts()}})
    if after != record:
        write_record(folder, after)
    if not draws and rule is None:
        return after, None
    details = _details(folder, record.id, judge, known, evidence, rule)
    write_details(folder, details)
    return after, None if rule is None else details.threshold


def _kept(before: Mapping[str, MetricInfo], after: Mapping[str, MetricInfo]) -> dict[str, MetricInfo]:
    """New figures; one that has not changed keeps its interval."""
    same = {name for name, info in after.items() if name in before and before[name].value == info.value}
    return {
        name: before[name] if name in same and before[name].version == info.version else info
        for name, info in after.items()
    }


def _details(
    folder: Path, record_id: str, judge: Judge, metrics: Sequence[Metric], evidence: Evidence, rule: Rule | None
) -> Details:
    """The details of a run, made anew where it has none of this record; with the threshold of a rule, if one is named.

    Raises:
        StorageError: a rule is named, and the run kept no scores of normal images.
    """
    from adbench.engine.details import DETAILS_FILE, details_of, read_details
    from adbench.engine.result import deployed
    from adbench.engine.threshold import Rule

    details = read_details(folder) if (folder / DETAILS_FILE).exists() else None
    if details is None or details.id != record_id:
        usual = deployed(judge, evidence, Rule())
        details = details_of(record_id, judge, metrics, evidence).model_copy(update={"threshold": usual})
    if rule is None:
        return details
    threshold = deployed(judge, evidence, rule)
    if threshold is None:
        raise StorageError(
            "it kept no scores of normal images; run it again with --redo, and not with --threshold none"
        )
    return details.model_copy(update={"threshold": threshold})


def _changes(folder: Path, before: ResultRecord, after: ResultRecord) -> str:
    """One line that says what has changed."""
    names = sorted({*before.metrics, *after.metrics})
    changed = [name for name in names if before.metrics.get(name) != after.metrics.get(name)]
    return f"{folder}: " + (f"changed: {', '.join(changed)}" if changed else f"{len(names)} metrics, none changed")
