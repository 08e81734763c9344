"""The console of a run: progress bars on a terminal, plain lines elsewhere, a table at the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Remaining

from adbench.cli.forms import print_tables
from adbench.cli.robustness_tables import robustness_tables
from adbench.cli.screen import counted, echo_json, say, screen, visible
from adbench.cli.summary import tables
from adbench.errors import AdbenchError, StorageError

if TYPE_CHECKING:
    from adbench.api.dataset import Survey
    from adbench.engine.plan.recipe import Recipe
    from adbench.engine.run.orders import Refusal
    from adbench.engine.run.record_builder import UnitOutcome

SKIPPED_AT_LENGTH = 10
"""Number of impossible combinations that a run lists with their reasons; of more it prints only the number."""
ROOM_FOR_TIMES = 79
"""Cells of a window in which a bar also shows images per second, elapsed time and remaining time."""


class Console:
    """The console of a run: messages go to standard error, the table to standard output.

    Args:
        form: of the tables at the end: None, "wide" or "csv"; with "json" there are none, for standard output holds
            records.

    Attributes:
        records: the stream of records; None for standard output.
    """

    def __init__(self, form: str | None = None) -> None:
        self.form = form
        self.err, self.out = screen(err=True), screen()
        self.records: TextIO | None = None
        self._bars: Progress | None = None
        self._bar: TaskID | None = None

    def begin(self, title: str) -> None:
        """Print the title of a unit that starts, or that has ended before."""
        self._say((title, "bold"))

    def survey(self, title: str, survey: Survey) -> None:
        """Print how the files of a category were read, and the number of files passed over."""
        left = survey.passed_over
        if survey.labels:
            self._say(f"{title}: {survey.labels}")
        if left:
            files = "1 file is" if len(left) == 1 else f"{len(left)} files are"
            example = f"{title}: {files} passed over, such as {left[0].file}, which {left[0].why}"
            self._say((f"{example}; 'adbench data verify' lists all", "yellow"))

    def note(self, sentence: str) -> None:
        """Print a note, such as a warning that does not stop the run."""
        self._say("  ", (sentence, "yellow"))

    def refused(self, refusal: Refusal) -> None:
        """Print the reason why a unit could not start."""
        self.close()
        self._say("  ", ("not run", "red"), f": {refusal.reason}")

    def cannot(
        self, left_out: Sequence[str], skipped: Sequence[tuple[Recipe, Sequence[str]]], *, every: bool = False
    ) -> None:
        """Print the parts and combinations that cannot run, with reasons; of many only the number, unless `every`."""
        for sentence in left_out:
            self._say(f"left out: {sentence}")
        if len(skipped) > SKIPPED_AT_LENGTH and not every:
            self._say(f"{len(skipped)} combinations cannot run; 'adbench plan' with the same options gives the reasons")
            return
        for recipe, reasons in skipped:
            self._say(f"cannot run: {recipe.name}")
            for reason in reasons:
                self._say(f"  {reason}")

    def watch(self, stage: str, done: int, total: int) -> None:
        """Draw the progress of a stage, on a terminal only; what follows a comma in its name may change."""
        if not self.err.is_terminal:
            return
        if self._bars is None:
            self._bars = Progress(
                TextColumn("  {task.description:<9}", markup=False),
                BarColumn(bar_width=None if self.err.width < ROOM_FOR_TIMES else 40),
                TextColumn("{task.fields[count]}", markup=False),
                *(self._times() if self.err.width >= ROOM_FOR_TIMES else ()),
                console=self.err,
                transient=True,
            )
            self._bars.start()
        self._draw(self._bars, visible(stage), done, total)

    def _times(self) -> Sequence[ProgressColumn]:
        return TextColumn("{task.fields[rate]}", markup=False), TimeElapsedColumn(), Remaining()

    def _draw(self, bars: Progress, stage: str, done: int, total: int) -> None:
        if self._bar is None or _name(bars.tasks[-1].description) != _name(stage):
            if self._bar is not None:
                bars.remove_task(self._bar)
            self._bar = bars.add_task(stage, total=total or None, rate="", count="")
        speed = bars.tasks[-1].speed
        rate, count = f"{speed:.1f} {_unit(stage)}/s" if speed else "", f"{done}/{total}" if total else ""
        completed = min(done, total) if total else done
        bars.update(self._bar, description=stage, completed=completed, rate=rate, count=count)

    def end(self, outcome: UnitOutcome) -> None:
        """Print the result of a unit that has ended."""
        self.close()
        self._how(outcome)
        record, folder = outcome.record, outcome.folder
        if outcome.threshold is not None:
            self._say(f"  {outcome.threshold}")
        for name in record.task.skipped:
            self._say(f"  left out, not readable: {name}")
        if (folder / "traceback.txt").exists():
            self._say(f"  details: {folder / 'traceback.txt'}")
        if outcome.unsaved is not None:
            self._say("  ", ("not saved", "red"), f": {outcome.unsaved}")
        if outcome.detector is not None:
            self._say(f"  detector: {outcome.detector}")
        if outcome.no_detector:
            self._say("  ", ("no detector", "yellow"), f": {outcome.no_detector}")
        for note in outcome.notes:
            self._say("  ", (note, "yellow"))

    def _how(self, outcome: UnitOutcome) -> None:
        """Print the status of a unit and its cost."""
        record = outcome.record
        if record.status != "ok":
            before = "" if outcome.fresh else f" in an earlier run (--retry {record.status} runs it again)"
            self._say("  ", (record.status, "red"), f"{before}: {record.reason}")
        elif not outcome.fresh:
            self._say(f"  done before: {outcome.folder}")
        elif record.cost is not None:
            cost = record.cost
            self._say(
                f"  fit {cost.fit_s:.1f} s, test {cost.ms_per_image.p50:.1f} ms an image,"
                f" {cost.peak_memory_mb:.0f} MB; {outcome.folder}"
            )

    def record(self, outcome: UnitOutcome) -> None:
        """Print the record as one line of JSON on standard output, or on the stream `records`.

        Raises:
            StorageError: the stream is closed or full.
        """
        try:
            echo_json(outcome.record.to_json(), file=self.records)
        except OSError as error:
            raise StorageError(f"cannot print a record: {error.strerror or error}; the runs so far are kept") from None

    def interrupted(self, done: int, total: int, out: Path) -> None:
        """Print the number of finished units after Ctrl-C, and how to continue."""
        self.close()
        self._say(f"{done} of {counted(total, 'unit')} finished and stored in {out}; the same command continues")

    def stopped(self, left: int, total: int) -> None:
        """Print the number of units that were not run because a result could not be written."""
        self._say(f"stopped: {left} of {counted(total, 'unit')} not run, because results cannot be written")

    def close(self) -> None:
        """Remove the bars from the terminal."""
        if self._bars is not None:
            self._bars.stop()
        self._bars = self._bar = None

    def summary(
        self, outcomes: Sequence[UnitOutcome], recipes: Iterable[Recipe] = (), *, robustness: bool = False
    ) -> None:
        """Print the summary: one row for each category and seed of one method, or one row for each of several methods.

        Args:
            outcomes: of all units.
            robustness: print the tables of corrupted and slowly changing test images too.
            recipes: of the units of this command. If two share a name, the folders of their files distinguish them.
        """
        shown = tables([outcome.record for outcome in outcomes], _places(recipes))
        print_tables([*shown, *(robustness_tables(outcomes) if robustness else ())], self.form)
        self._notes(outcomes)

    def _notes(self, outcomes: Sequence[UnitOutcome]) -> None:
        if self.form == "csv":  # standard output holds the table alone
            self.out = self.err
        if any(outcome.record.regime.random_weights for outcome in outcomes):
            why = "an untrained backbone or masker; these figures do not measure the method"
            self._print(("random weights", "yellow"), f": {why}")
        pictures = [outcome.folder for outcome in outcomes if (outcome.folder / "sheet.png").exists()]
        if pictures:
            self._print(f"pictures: {pictures[0] / 'sheet.png'}", " and others" if pictures[1:] else "")

    def _print(self, *pieces: str | tuple[str, str]) -> None:
        say(self.out, *pieces)

    def _say(self, *pieces: str | tuple[str, str]) -> None:
        say(self.err, *pieces)


def _places(recipes: Iterable[Recipe]) -> dict[str, str]:
    """Paths of the files of recipes that share a name, by sha256; it does not read files of other recipes."""
    from adbench.cli.plugins import installed
    from adbench.engine.plan.recipe import components_of
    from adbench.engine.plan.row_names import places_of

    by_name: dict[str, list[Recipe]] = {}
    for recipe in recipes:
        same = by_name.setdefault(recipe.name, [])
        same += [] if recipe in same else [recipe]
    found: dict[str, str] = {}
    for recipe in (recipe for same in by_name.values() if len(same) > 1 for recipe in same):
        with suppress(AdbenchError):  # the file was deleted meanwhile: its sha256 is enough
            found |= places_of(part for parts in components_of(recipe, installed()).values() for part in parts)
    return found


def _name(stage: str) -> str:
    """The name of a stage, without what is shown beside it, such as a loss."""
    return stage.partition(",")[0]


def _unit(stage: str) -> str:
    return "steps" if _name(stage) == "train" else "images"
