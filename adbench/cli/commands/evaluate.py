"""``adbench evaluate``: metrics anew from predictions on disk; no backbone, no GPU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from adbench.cli.messages import ProblemTally
from adbench.cli.options import parse_rule
from adbench.cli.run_data import Datasets
from adbench.cli.screen import counted, echo, echo_json
from adbench.errors import AdbenchError, StorageError

if TYPE_CHECKING:
    from adbench.api.metric import Evidence, Metric
    from adbench.engine.evaluate.details import Details
    from adbench.engine.evaluate.evaluator import Evaluator
    from adbench.engine.evaluate.threshold import Threshold
    from adbench.engine.plan.threshold_rule import Rule
    from adbench.engine.store.record import MetricInfo, ResultRecord
    from adbench.registry import Registry


@click.command("evaluate")
@click.argument("runs", type=click.Path(exists=True, path_type=Path), nargs=-1, required=True)
@click.option("--data", metavar="NAME|PATH", help="The dataset, where it is no longer where the runs found it.")
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

    The data is looked for where the run found it, unless --data says otherwise. A run whose data has changed since is
    refused, and left as it is. One that failed is left out. Printed are the runs of which something has changed.

    \b
    Exit codes:
      0  every run with predictions is evaluated
      1  one could not be; the others are
      2  the command cannot be meant as it is written
    """  # noqa: D301  \b is click's mark for a paragraph to keep as it is
    from adbench.cli.plugins import installed
    from adbench.engine.store.record import find_runs

    folders = [folder for root in runs for folder in find_runs(root)]
    if not folders:
        raise StorageError(f"no record below {', '.join(map(str, runs))}; give a folder that 'adbench run' wrote")
    registry, told = installed(), ProblemTally("run")
    work = _Evaluation(registry, Datasets(registry, data), draws if intervals else 0, rule)
    try:
        found = [_one(work, folder, told, as_json=as_json) for folder in folders]
    finally:
        told.show()
    if not as_json and True not in found and False in found:
        echo(f"{counted(found.count(False), 'run')}: nothing has changed")
    return 1 if told.failed else 0


def _one(work: _Evaluation, folder: Path, told: ProblemTally, *, as_json: bool) -> bool | None:
    """Evaluate one run, and say what has changed of it; whether anything has, or None if it could not be evaluated."""
    from adbench.engine.store.record import read_record

    try:
        before = read_record(folder)
        if before.predictions is None:
            told.left_out(f"it ended as {before.status!r}, without predictions", folder)
            return None
        after, beside = work.evaluate(folder, before)
    except AdbenchError as error:
        told.error(str(error), folder)
        return None
    changes = [*_changes(before, after), *beside]
    if as_json:
        echo_json(after.to_json())
    elif changes:
        echo(f"{folder}: {'; '.join(changes)}")
    return bool(changes)


@dataclass(frozen=True)
class _Evaluation:
    """How runs are evaluated.

    Attributes:
        draws: for intervals; without any, those that are there stay.
        rule: sets the threshold anew; None to leave it.
    """

    registry: Registry
    datasets: Datasets
    draws: int
    rule: Rule | None

    def evaluate(self, folder: Path, record: ResultRecord) -> tuple[ResultRecord, list[str]]:
        """The record with its metrics computed anew, written where they differ.

        Returns:
            The record, and what is to be said beside what has changed in it.

        Raises:
            AdbenchError: the run cannot be evaluated; the message says why.
        """
        from adbench.engine.evaluate.bootstrap import with_intervals
        from adbench.engine.evaluate.evaluator import measure
        from adbench.engine.evaluate.reproduce import evaluator_of
        from adbench.engine.store.record import write_record

        judge = evaluator_of(folder, record, self.datasets.of(folder, record))
        evidence, known = judge.evidence(), [cast("Metric", metric) for metric in self.registry.made("metric")]
        metrics = measure(known, evidence)
        metrics = with_intervals(metrics, judge, self.draws) if self.draws else _kept(record.metrics, metrics)
        after = record.model_copy(update={"metrics": metrics, "facts": {**record.facts, **judge.facts()}})
        beside = self._beside(folder, record, judge, known, evidence) if self.draws or self.rule else []
        if after != record:
            write_record(folder, after)
        return after, beside

    def _beside(
        self, folder: Path, record: ResultRecord, judge: Evaluator, metrics: Sequence[Metric], evidence: Evidence
    ) -> list[str]:
        """Write the details of a run where they are missing or another threshold is asked for; what to say of them."""
        from adbench.engine.evaluate.details import details_of, write_details
        from adbench.engine.plan.threshold_rule import Rule
        from adbench.engine.run.result import deployed

        before = _details_of(folder, record)
        details = before
        if details is None:
            usual = deployed(judge, evidence, Rule())
            details = details_of(record.id, judge, metrics, evidence).model_copy(update={"threshold": usual})
        if self.rule is not None:
            threshold = _threshold(self.rule, record, judge, details.threshold)
            details = details.model_copy(update={"threshold": threshold})
        if details != before:
            write_details(folder, details)
        made = [] if before is not None else ["details.json: new"]
        return made if self.rule is None else [*made, str(details.threshold)]


def _details_of(folder: Path, record: ResultRecord) -> Details | None:
    """The details of a run; None where it has none of this record."""
    from adbench.engine.evaluate.details import DETAILS_FILE, read_details

    details = read_details(folder) if (folder / DETAILS_FILE).exists() else None
    return details if details is not None and details.id == record.id else None


def _threshold(rule: Rule, record: ResultRecord, judge: Evaluator, before: Threshold | None) -> Threshold:
    """What a rule makes of the scores of normal images that the run kept, or why it makes nothing of so few images.

    Raises:
        StorageError: it kept none, and the rule could have used them.
    """
    from adbench.engine.evaluate.reproduce import deployed_again

    threshold = deployed_again(rule, record, judge)
    if threshold is not None:
        return threshold
    why = "it kept no scores of normal images"
    if before is not None and before.value is None:
        why = f"it made no scores of normal images, since {before.reason}"
    raise StorageError(f"{why}; run it again with --redo --threshold {rule.words}")


def _kept(before: Mapping[str, MetricInfo], after: Mapping[str, MetricInfo]) -> dict[str, MetricInfo]:
    """New figures; one that has not changed keeps its interval."""
    same = {name for name, info in after.items() if name in before and before[name].value == info.value}
    return {
        name: before[name] if name in same and before[name].version == info.version else info
        for name, info in after.items()
    }


def _changes(before: ResultRecord, after: ResultRecord) -> Iterator[str]:
    """In words, what differs: figures, and intervals of figures that are the same."""
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
