"""``adbench board verify``: run the recipe of other people's records again, and compare."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from adbench.cli.commands.submit import data_option
from adbench.cli.forms import form_options, print_rows, print_tables
from adbench.cli.options import FiniteRange, computing_option
from adbench.cli.screen import echo, echo_json, visible
from adbench.cli.text_table import Column, TextTable
from adbench.engine.plan.data_origin import dataset_of
from adbench.errors import StorageError, UsageError

if TYPE_CHECKING:
    from adbench.api.dataset import Dataset
    from adbench.engine.store.record import ResultRecord

TOLERANCE = 0.001
"""A tenth of a point, the last digit on boards: the effect of another device or number of threads."""


class ComparedValue(NamedTuple):
    """A value of a record beside that of the new run: a metric, or any other that differs."""

    value: str
    recorded: str
    here: str
    difference: str
    result: str


@dataclass(frozen=True)
class Verification:
    """A record, and what came of running its recipe again.

    Attributes:
        before, after: the record, and that of the new run.
        tolerance: the largest allowed difference of a metric, as a fraction.
    """

    before: ResultRecord
    after: ResultRecord
    tolerance: float

    @property
    def title(self) -> str:
        """The new run for people, on one line."""
        devices = f"run again on {self.after.provenance.device}, then on {self.before.provenance.device}"
        return f"{title_of(self.before)}: {devices}"

    @cached_property
    def metrics(self) -> list[ComparedValue]:
        """All metrics, by name; none if the new run ended otherwise."""
        from adbench.engine.evaluate.reproduce import compare

        rows = compare(self.before, self.after, self.tolerance) if self.ended else ()
        return [
            ComparedValue(
                metric,
                _figure(was),
                _figure(now),
                "" if was is None or now is None else f"{now - was:+.6f}",
                "agrees" if agrees else "DIFFERS",
            )
            for metric, was, now, agrees in rows
        ]

    @cached_property
    def others(self) -> list[ComparedValue]:
        """All other values that differ."""
        from adbench.engine.plan.derived import differences

        if not self.ended:
            return [ComparedValue("status", self.before.status, self.after.status, "", "DIFFERS")]
        found = differences(self.before, self.after)
        return [ComparedValue(what, str(was), str(now), "", "DIFFERS") for what, was, now in found]

    @property
    def ended(self) -> bool:
        """Whether the new run has figures to compare."""
        return self.after.status == "ok"

    @property
    def agrees(self) -> bool:
        """Whether nothing differs."""
        return not self.others and all(row.result == "agrees" for row in self.metrics)

    @property
    def verdict(self) -> str:
        """The result of all comparisons, in words."""
        if not self.ended:
            return f"{self.after.status}: {self.after.reason}"
        return f"{'verified' if self.agrees else 'not reproduced'}, tolerance {self.tolerance:g}"

    def lines(self) -> Iterator[str]:
        """Title, comparisons and result, for people."""
        yield self.title
        for row in self.metrics:
            yield f"  {row.value:16} {row.recorded:>9} {row.here:>9} {row.difference:>10}  {row.result}"
        for row in self.others if self.ended else ():
            yield f"  {row.value}: {visible(row.recorded, 200)}, but {visible(row.here, 200)} here  {row.result}"
        yield f"  {self.verdict}"

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        task = self.before.task
        return {
            "record": self.before.id,
            "recipe": self.before.recipe.name,
            "category": task.category,
            "seed": task.seed,
            "verified": self.agrees,
            "verdict": self.verdict,
            "values": [row._asdict() for row in (*self.metrics, *self.others)],
        }


@click.command("verify")
@click.argument("record", type=click.Path(exists=True, path_type=Path))
@data_option
@click.option(
    "--id", "prefix", default="", metavar="ID", help="Only the records whose id begins with ID, in a file of many."
)
@click.option(
    "--tolerance",
    type=FiniteRange(0, 1),
    default=TOLERANCE,
    show_default=True,
    help="The largest allowed difference of a metric, as a fraction.",
)
@computing_option("--device", "Computing")
@form_options(
    wide="Print a table of any width for each record.",
    csv="Print a row for each value as CSV; the results go to stderr.",
    json="Print a list with an entry for each record as JSON; the results go to stderr.",
)
def verify_command(record: Path, data: str | None, prefix: str, tolerance: float, device: str, form: str | None) -> int:
    """Run the recipe of RECORD again, on its own task, and compare: exit code 1 if anything differs.

    The command compares every metric, regime, counts, images, weights and all other results. RECORD is a run's folder,
    a record.json, or a board's file of records. The command does not use the cache.
    """
    from adbench.engine.store.record import RECORD_FILE

    records = [each for each in _records(record) if prefix in ("", each.id[: len(prefix)])]
    if not records:
        raise UsageError(f"{record}: no record has an id that begins with {prefix!r}")
    folder = record if record.is_dir() else record.parent if record.name == RECORD_FILE else None
    for each in records:
        if each.status != "ok":
            raise UsageError(f"{title_of(each)}: it ended as {each.status!r}, so there is nothing to compare")
    repeated = []
    for each in records:
        repeated.append(Verification(each, _rerun(each, _data_of(each, data, folder), device), tolerance))
        _show(repeated[-1], form)
    if form == "csv":
        named = [(one.before.id, *row) for one in repeated for row in (*one.metrics, *one.others)]
        print_rows(("record", *ComparedValue._fields), named)
    elif form == "json":
        echo_json([one.to_json() for one in repeated], indent=1)
    return 0 if all(one.agrees for one in repeated) else 1


def _show(repeated: Verification, form: str | None) -> None:
    """Print one run as soon as it has ended; where standard output is for programs, its result on standard error."""
    if form is None:
        echo(*repeated.lines())
        return
    if form == "wide":
        columns = [Column(name, words=name in ("value", "result")) for name in ComparedValue._fields]
        table = TextTable(repeated.title, columns)
        for row in (*repeated.metrics, *repeated.others):
            table.add(*row)
        print_tables([table], form)
        echo(repeated.verdict)
        return
    echo(f"{title_of(repeated.before)}: {repeated.verdict}", err=True)


def _records(path: Path) -> list[ResultRecord]:
    """The records of a file or folder; raises `StorageError` if one of them contradicts itself."""
    from adbench.boards.records.line_files import is_line_file
    from adbench.boards.records.records_io import read_lines, read_run

    found = [each for _, each in read_lines(path)] if is_line_file(path) else [read_run(path)]
    for each in found:
        if isinstance(each, str):
            raise StorageError(each)
    return [each.record for each in found if not isinstance(each, str)]


def _data_of(record: ResultRecord, data: str | None, folder: Path | None) -> Dataset:
    """The dataset for a record; without ``--data`` the command prints its place."""
    from adbench.cli.plugins import installed

    dataset = dataset_of(installed(), record, data, folder)
    if data is None:
        echo(f"images: {getattr(dataset, 'root', dataset.name)}", err=True)
    return dataset


def title_of(record: ResultRecord) -> str:
    """Method, category, seed and id of a record."""
    name, category = visible(record.recipe.name, 100), visible(record.task.category, 100)
    return f"{name} on {category}, seed {record.task.seed} ({record.id[:12]})"


def _figure(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.6f}"


def _rerun(record: ResultRecord, dataset: Dataset, device: str) -> ResultRecord:
    from adbench.cli.plugins import installed
    from adbench.engine.evaluate.reproduce import unit_of
    from adbench.engine.plan.settings import Settings
    from adbench.engine.run.runner import Runner

    registry = installed()
    unit = unit_of(record, dataset, registry)
    with tempfile.TemporaryDirectory(prefix="adbench-") as scratch:
        settings = Settings(
            Path(scratch),
            device=device,
            skip_bad=bool(record.task.skipped),
            figures=False,
            runtime=record.provenance.runtime,
        )
        outcome = Runner(registry, settings, note=lambda sentence: echo(f"  {sentence}", err=True)).run(unit)
    if outcome is None:
        raise StorageError("another process is running this unit")
    return outcome.record
