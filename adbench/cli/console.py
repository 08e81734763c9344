"""What a person sees of a run: bars on a terminal, quiet lines elsewhere, a table at the end."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rich.console import Console as RichConsole
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Remaining
from rich.table import Table

from adbench.errors import StorageError, printable

if TYPE_CHECKING:
    from adbench.api.dataset import Survey
    from adbench.engine.dispatch import Refusal
    from adbench.engine.draft import Outcome
    from adbench.engine.record import ResultRecord
    from adbench.engine.spec import Recipe

_COLUMNS = {
    "image-auroc": "image\nAUROC",
    "image-ap": "image\nAP",
    "image-f1-max": "image\nF1-max",
    "pixel-auroc": "pixel\nAUROC",
    "pixel-ap": "pixel\nAP",
    "pixel-f1-max": "pixel\nF1-max",
    "pixel-aupro-30": "AUPRO\n0.30",
    "pixel-aupro-05": "AUPRO\n0.05",
}


_USUAL = {"shots": None, "limit_train": None, "limit_test": None, "evaluation": "original", "class_names": False}
"""Protocol rules that a title leaves out; `allow` shows in the regime of the records."""

SKIPPED_AT_LENGTH = 10
"""So many combinations that cannot run are told with their reasons before a run begins."""


class Console:
    """Talks on standard error while units run; the table goes to standard output.

    Args:
        quiet: no table: standard output belongs to records.

    Attributes:
        records: where records go; None for standard output.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.err = RichConsole(stderr=True, highlight=False)
        self.out = RichConsole(highlight=False, width=None if sys.stdout.isatty() else 120)
        self.records: TextIO | None = None
        self._bars: Progress | None = None
        self._bar: TaskID | None = None

    def begin(self, title: str) -> None:
        """A unit starts, or is found to have ended before."""
        self._say(f"[bold]{escape(title)}[/]")

    def survey(self, title: str, survey: Survey) -> None:
        """How the files of a category were read, and how many were not."""
        left = survey.passed_over
        if survey.labels:
            self._say(f"{escape(printable(title))}: {escape(survey.labels)}")
        if left:
            files = "1 file is" if len(left) == 1 else f"{len(left)} files are"
            said = (
                f"{title}: {files} passed over, such as {left[0].file}, which {left[0].why};"
                " 'adbench data verify' lists all"
            )
            self._say(f"[yellow]{escape(printable(said))}[/]")

    def note(self, sentence: str) -> None:
        """Something that a person should know, and that stops nothing."""
        self._say(f"  [yellow]{escape(sentence)}[/]")

    def refused(self, refusal: Refusal) -> None:
        """A unit could not begin."""
        self.close()
        self._say(f"  [red]not run[/]: {escape(refusal.reason)}")

    def cannot(
        self, left_out: Sequence[str], skipped: Sequence[tuple[Recipe, Sequence[str]]], *, every: bool = False
    ) -> None:
        """Which parts and combinations cannot run, and why; unless `every` is set, of many only the number is told."""
        for sentence in left_out:
            self._say(f"left out: {escape(sentence)}")
        if len(skipped) > SKIPPED_AT_LENGTH and not every:
            self._say(f"{len(skipped)} combinations cannot run; 'adbench plan' with the same words says why")
            return
        for recipe, reasons in skipped:
            self._say(f"cannot run: {escape(recipe.name)}")
            for reason in reasons:
                self._say(f"  {escape(reason)}")

    def watch(self, stage: str, done: int, total: int) -> None:
        """A stage has come so far; drawn on a terminal only."""
        if not self.err.is_terminal:
            return
        if self._bars is None:
            self._bars = Progress(
                TextColumn("  {task.description:<8}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeElapsedColumn(),
                Remaining(),
                console=self.err,
                transient=True,
            )
            self._bars.start()
        self._draw(self._bars, stage, done, total)

    def _draw(self, bars: Progress, stage: str, done: int, total: int) -> None:
        if self._bar is None or bars.tasks[-1].description != stage:
            if self._bar is not None:
                bars.remove_task(self._bar)
            self._bar = bars.add_task(stage, total=total or None, rate="")
        speed = bars.tasks[-1].speed
        bars.update(self._bar, completed=done, rate=f"{speed:.1f} images/s" if speed else "")

    def end(self, outcome: Outcome) -> None:
        """A unit has ended."""
        self.close()
        record = outcome.record
        if record.status != "ok":
            before = "" if outcome.fresh else f" before (--retry {record.status} runs it again)"
            self._say(f"  [red]{record.status}[/]{before}: {escape(record.reason)}")
        elif not outcome.fresh:
            self._say(f"  done before: {escape(str(outcome.folder))}")
        elif record.cost is not None:
            cost = record.cost
            self._say(
                f"  fit {cost.fit_s:.1f} s, test {cost.ms_per_image.p50:.1f} ms an image,"
                f" {cost.peak_memory_mb:.0f} MB; {escape(str(outcome.folder))}"
            )
        if outcome.threshold is not None:
            self._say(f"  {escape(str(outcome.threshold))}")
        for name in record.task.skipped:
            self._say(f"  left out, not readable: {escape(printable(name))}")
        if (outcome.folder / "traceback.txt").exists():
            self._say(f"  details: {escape(str(outcome.folder))}/traceback.txt")
        if outcome.unsaved is not None:
            self._say(f"  [red]not saved[/]: {escape(str(outcome.unsaved))}")
        for note in outcome.notes:
            self._say(f"  [yellow]{escape(note)}[/]")

    def record(self, outcome: Outcome) -> None:
        """The record as one line of JSON on standard output, or where `records` leads.

        Raises:
            StorageError: nobody takes it.
        """
        try:
            print(json.dumps(outcome.record.to_json(), sort_keys=True), file=self.records or sys.stdout, flush=True)
        except OSError as error:
            raise StorageError(f"cannot print a record: {error.strerror or error}; the runs so far are kept") from None

    def interrupted(self, done: int, total: int, out: Path) -> None:
        """After Ctrl-C: what is kept, and how to go on."""
        self.close()
        self._say(f"{done} of {total} units are finished and kept in {out}; the same command goes on from there")

    def stopped(self, left: int, total: int) -> None:
        """A result could not be written: the rest was not tried."""
        self._say(f"stopped: {left} of {total} units were not run; their results could not have been written either")

    def close(self) -> None:
        """Take the bars off the terminal."""
        if self._bars is not None:
            self._bars.stop()
        self._bars = self._bar = None

    def summary(self, outcomes: Sequence[Outcome]) -> None:
        """Of one method a row for each category and seed; of several a row for each, over all of them."""
        groups: dict[str, list[ResultRecord]] = {}
        for outcome in outcomes:
            groups.setdefault(_what(outcome.record), []).append(outcome.record)
        for title, records in groups.items():
            methods = {record.recipe.name for record in records}
            self.out.print(_by_category(title, records) if len(methods) == 1 else _by_method(title, records))
        self._notes(outcomes)

    def _notes(self, outcomes: Sequence[Outcome]) -> None:
        if any(outcome.record.regime.random_weights for outcome in outcomes):
            self.out.print(
                "[yellow]random weights:[/] an untrained backbone or masker; these figures say nothing of the method"
            )
        pictures = [outcome.folder for outcome in outcomes if (outcome.folder / "sheet.png").exists()]
        if pictures:
            self.out.print(f"pictures: {escape(str(pictures[0]))}/sheet.png" + (" and others" if pictures[1:] else ""))

    def _say(self, line: str) -> None:
        self.err.print(line, soft_wrap=True)


def _what(record: ResultRecord) -> str:
    """The dataset and the protocol: figures of different ones never share a table."""
    protocol = record.task.protocol
    said = [f"{key.replace('_', '-')} {value}" for key, value in protocol.items() if value != _USUAL.get(key, value)]
    return ", ".join([record.task.dataset, *said])


def _by_category(title: str, records: Sequence[ResultRecord]) -> Table:
    records = sorted(records, key=lambda it: (it.task.category, it.task.seed))
    table = _table(f"{records[0].recipe.name} on {title}", "category")
    for record in records:
        table.add_row(*_row(record))
    table.add_section()
    table.add_row("mean", *(_mean(records, name) for name in _COLUMNS), "", "")
    return table


def _by_method(title: str, records: Sequence[ResultRecord]) -> Table:
    """The mean over categories and seeds of each method, best first; 'adbench board' says more."""
    methods: dict[str, list[ResultRecord]] = {}
    for record in records:
        methods.setdefault(record.recipe.name, []).append(record)
    table = _table(title, "method")
    for name, rows in sorted(methods.items(), key=lambda item: _mean(item[1], "image-auroc"), reverse=True):
        costs = [row.cost for row in rows if row.cost is not None]
        times = (
            [statistics.fmean(cost.ms_per_image.p50 for cost in costs), statistics.fmean(c.fit_s for c in costs)]
            if costs
            else []
        )
        table.add_row(escape(name), *(_mean(rows, metric) for metric in _COLUMNS), *(f"{time:.1f}" for time in times))
    return table


def _table(title: str, first: str) -> Table:
    table = Table(title=escape(f"{title} (figures in %)"), title_justify="left")
    table.add_column(first, overflow="fold")
    for header in (*_COLUMNS.values(), "ms an\nimage", "fit\ns"):
        table.add_column(header, justify="right")
    return table


def _row(record: ResultRecord) -> list[str]:
    name = escape(record.task.category) + (f" (seed {record.task.seed})" if record.task.seed else "")
    if record.status != "ok" or record.cost is None:
        return [name, record.status, *([""] * (len(_COLUMNS) + 1))]
    figures = [_percent(record.metrics[key].value if key in record.metrics else None) for key in _COLUMNS]
    return [name, *figures, f"{record.cost.ms_per_image.p50:.1f}", f"{record.cost.fit_s:.1f}"]


def _percent(value: float | None) -> str:
    return "n/a" if value is None else f"{100 * value:.1f}"


def _mean(records: Sequence[ResultRecord], metric: str) -> str:
    """The mean over all rows, or how many there are of them."""
    values = [record.metrics[metric].value for record in records if metric in record.metrics]
    there = [value for value in values if value is not None]
    return _percent(statistics.fmean(there)) if len(there) == len(records) else f"{len(there)}/{len(records)}"
