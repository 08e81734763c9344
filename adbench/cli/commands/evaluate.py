"""``adbench evaluate``: metrics of finished runs from their stored predictions, without backbone or GPU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from adbench.cli.forms import form_options
from adbench.cli.messages import ProblemTally
from adbench.cli.options import parse_rule
from adbench.cli.screen import counted, echo, echo_json
from adbench.engine.plan.data_origin import Datasets
from adbench.errors import AdbenchError, StorageError

if TYPE_CHECKING:
    from adbench.api.metric import Evidence, Metric
    from adbench.engine.evaluate.bootstrap import SharedIntervals
    from adbench.engine.evaluate.details import Details
    from adbench.engine.evaluate.evaluator import Evaluator
    from adbench.engine.evaluate.threshold import Threshold
    from adbench.engine.plan.threshold_rule import Rule
    from adbench.engine.store.record import MetricInfo, ResultRecord
    from adbench.registration.registry import Registry


@click.command("evaluate")
@click.argument("runs", type=click.Path(exists=True, path_type=Path), nargs=-1, required=True)
@click.option("--data", metavar="NAME|PATH", help="The dataset, if it is no longer in the place that the runs stored.")
@click.option("--intervals", is_flag=True, help="Add 95 % confidence intervals, and details.json if it is missing.")
@click.option(
    "--draws",
    type=click.IntRange(100, 100_000),
    default=1000,
    show_default=True,
    help="Number of bootstrap draws for --intervals.",
)
@click.option(
    "--threshold",
    "rule",
    callback=parse_rule,
    metavar="RULE",
    help="Set the threshold again by this rule, from the run's stored scores of normal images: see 'adbench run'.",
)
@form_options("json", json="Print only the records on stdout, one for each line.")
def command(
    runs: tuple[Path, ...], data: str | None, intervals: bool, draws: int, rule: Rule | None, form: str | None
) -> int:
    """Compute all metrics again for every finished run in RUNS, and write them into its record.

    Each run stores the place of its data; --data gives another one. A run whose data has changed is an error and stays
    unchanged. Failed runs are left out. The command prints the runs that have changed.

    \b
    Exit codes:
      0  every run with predictions was evaluated
      1  at least one run could not be evaluated; the others were
      2  the command is invalid
    """  # noqa: D301  \b tells click not to wrap the paragraph
    from adbench.cli.plugins import installed
    from adbench.engine.evaluate.bootstrap import SharedIntervals
    from adbench.engine.store.record import find_runs

    folders = [folder for root in runs for folder in find_runs(root)]
    if not folders:
        raise StorageError(f"no record below {', '.join(map(str, runs))}; give a folder that 'adbench run' wrote")
    registry, tally = installed(), ProblemTally("run")
    shared = SharedIntervals(draws) if intervals else None
    work = _Evaluation(registry, Datasets(registry, data), shared, rule)
    try:
        changed = [_evaluate_run(work, folder, tally, as_json=form == "json") for folder in folders]
    finally:
        tally.show()
    if not form and True not in changed and False in changed:
        echo(f"{counted(changed.count(False), 'run')}: nothing has changed")
    return 1 if tally.failed else 0


def _evaluate_run(work: _Evaluation, folder: Path, tally: ProblemTally, *, as_json: bool) -> bool | None:
    """Evaluate one run and print its changes; return whether it changed, or None if it could not be evaluated."""
    from adbench.engine.store.record import read_record

    try:
        before = read_record(folder)
        if before.predictions is None:
            tally.left_out(f"it ended as {before.status!r}, without predictions", folder)
            return None
        after, details = work.evaluate(folder, before)
    except AdbenchError as error:
        tally.error(str(error), folder)
        return None
    changes = [*_changes(before, after), *details]
    if as_json:
        echo_json(after.to_json())
    elif changes:
        echo(f"{folder}: {'; '.join(changes)}")
    return bool(changes)


@dataclass(frozen=True)
class _Evaluation:
    """The evaluation of runs.

    Attributes:
        intervals: shared by runs with equal predictions; None keeps the intervals of the record.
        rule: sets the threshold again; None keeps it.
    """

    registry: Registry
    datasets: Datasets
    intervals: SharedIntervals | None
    rule: Rule | None

    def evaluate(self, folder: Path, record: ResultRecord) -> tuple[ResultRecord, list[str]]:
        """The record with its metrics computed again, written if they differ.

        Returns:
            The record, and lines about the run's details.

        Raises:
            AdbenchError: the run cannot be evaluated; the message gives the reason.
        """
        from adbench.engine.evaluate.evaluator import measure
        from adbench.engine.evaluate.reproduce import evaluator_of
        from adbench.engine.store.record import write_record

        evaluator = evaluator_of(folder, record, self.datasets.of(folder, record))
        evidence, known = evaluator.evidence(), self.registry.metrics()
        metrics = measure(known, evidence)
        if self.intervals is None:
            metrics = _keep_intervals(record.metrics, metrics)
        else:
            metrics = self.intervals.added(metrics, evaluator)
        after = record.model_copy(update={"metrics": metrics, "facts": {**record.facts, **evaluator.facts()}})
        lines = self._update_details(folder, record, evaluator, known, evidence) if self.intervals or self.rule else []
        if after != record:
            write_record(folder, after)
        return after, lines

    def _update_details(
        self, folder: Path, record: ResultRecord, evaluator: Evaluator, metrics: Sequence[Metric], evidence: Evidence
    ) -> list[str]:
        """Write the details of a run if they are missing or have another threshold; return lines about them."""
        from adbench.engine.evaluate.details import details_of, write_details
        from adbench.engine.plan.threshold_rule import Rule
        from adbench.engine.run.result import deployed

        before = _details_of(folder, record)
        details = before
        if details is None:
            usual = deployed(evaluator, evidence, Rule())
            details = details_of(record.id, evaluator, metrics, evidence).model_copy(update={"threshold": usual})
        if self.rule is not None:
            threshold = _threshold(self.rule, record, evaluator, details.threshold)
            details = details.model_copy(update={"threshold": threshold})
        if details != before:
            write_details(folder, details)
        made = [] if before is not None else ["details.json: new"]
        return made if self.rule is None else [*made, str(details.threshold)]


def _details_of(folder: Path, record: ResultRecord) -> Details | None:
    """The details of a run; None if it has none of this record."""
    from adbench.engine.evaluate.details import DETAILS_FILE, read_details

    details = read_details(folder) if (folder / DETAILS_FILE).exists() else None
    return details if details is not None and details.id == record.id else None


def _threshold(rule: Rule, record: ResultRecord, evaluator: Evaluator, before: Threshold | None) -> Threshold:
    """The threshold of a rule, from the run's stored scores of normal images.

    Raises:
        StorageError: the run stored no such scores, and the rule needs them.
    """
    from adbench.engine.evaluate.reproduce import redeploy

    threshold = redeploy(rule, record, evaluator)
    if threshold is not None:
        return threshold
    why = "it stored no scores of normal images"
    if before is not None and before.value is None:
        why = f"it computed no scores of normal images, because {before.reason}"
    raise StorageError(f"{why}; run it again with --redo --threshold {rule.words}")


def _keep_intervals(before: Mapping[str, MetricInfo], after: Mapping[str, MetricInfo]) -> dict[str, MetricInfo]:
    """New figures; an unchanged figure keeps its interval."""
    same = {name for name, info in after.items() if name in before and before[name].value == info.value}
    return {
        name: before[name] if name in same and before[name].version == info.version else info
        for name, info in after.items()
    }


def _changes(before: ResultRecord, after: ResultRecord) -> Iterator[str]:
    """Sentences about changes: figures, and intervals of unchanged figures."""
    moved: list[str] = []
    gone: list[str] = []
    added: list[str] = []
    renewed: list[str] = []
    for name in sorted({*before.metrics, *after.metrics}):
        one, other = before.metrics.get(name), after.metrics.get(name)
        if other is None:
            gone.append(name)
        elif one is None or (one.value, one.version, one.reason) != (other.value, other.version, other.reason):
            moved.append(f"{name} {'new' if one is None else _percent(one)} -> {_percent(other)}")
        elif one.interval != other.interval:
            (added if one.interval is None else renewed).append(name)
    if moved:
        yield f"changed: {', '.join(moved)}"
    if gone:
        yield f"no longer measured: {', '.join(gone)}"
    facts = [name for name in sorted({*before.facts, *after.facts}) if before.facts.get(name) != after.facts.get(name)]
    if facts:
        yield f"facts changed: {', '.join(facts)}"
    for what, names in (("added", added), ("changed", renewed)):
        if names:
            yield f"intervals {what}: {', '.join(names)}"


def _percent(info: MetricInfo) -> str:
    return "n/a" if info.value is None else f"{100 * info.value:.4g} %"
