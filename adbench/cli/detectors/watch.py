"""``adbench watch``: predictions of image files as they arrive."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adbench.cli.detectors.choices import computing_options, detector_file, kinds_of, loaded, predicting_options
from adbench.cli.options import SectionedCommand, option
from adbench.cli.screen import counted, echo
from adbench.errors import DataError, StorageError, UsageError

if TYPE_CHECKING:
    from adbench.detector.arrivals import Arrivals
    from adbench.detector.detector import Detector
    from adbench.detector.drift import Drift
    from adbench.detector.outputs.folder import PredictionFolder
    from adbench.detector.outputs.journal import Journal
    from adbench.detector.prediction import Prediction
    from adbench.errors import BadImage


@click.command("watch", cls=SectionedCommand)
@detector_file
@click.argument("incoming", type=click.Path(path_type=Path), metavar="DIR")
@option(
    "--out",
    section="Detector",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder of predictions; a folder that 'watch' wrote before is continued.",
)
@option(
    "--every",
    section="Watching",
    type=click.FloatRange(0.01),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two looks into the folder; a file is scored when two looks find it unchanged.",
)
@option("--once", section="Watching", is_flag=True, help="End when all files that are there are scored.")
@predicting_options
@computing_options
def command(file: Path, incoming: Path, **options: Any) -> int:
    """Score image files as they arrive in a folder.

    Tables, pictures and contours are those of 'adbench predict'; coco.json is written when the command ends. Each file
    gets one row, even if the command is stopped or killed and started again. An image that cannot be read is a row with
    the reason. Ctrl-C ends the command.

    \b
    adbench watch bolt.adbench incoming/ --out predictions/
    """  # noqa: D301  \b is click's mark for a paragraph to keep as it is
    from adbench.api.component import sha256_of
    from adbench.detector.outputs.journal import journal_of

    _check_folders(incoming, options["out"])
    detector = loaded(file, options)
    with journal_of(options["out"], sha256_of(file)) as journal:
        watching = _watching(detector, incoming, journal, options)
        echo(f"{counted(watching.count, 'image')} scored so far; watching {incoming}", err=True)
        return _watch(watching, options)


def _check_folders(incoming: Path, out: Path) -> None:
    if not incoming.is_dir():
        raise DataError(f"{incoming} is no folder; give the folder in which images arrive")
    if out.resolve().is_relative_to(incoming.resolve()):
        raise UsageError("--out lies in the watched folder, so that heatmaps would be scored; give a folder outside")


def _watch(watching: _Watching, options: dict[str, Any]) -> int:
    """Poll and score: with --once until no image is left, else until the command is stopped."""
    try:
        with closing(watching):
            while watching.step() or not options["once"]:
                time.sleep(options["every"])
    except StorageError as error:
        raise StorageError(
            f"{error}; {watching.count} images are written whole; the same command goes on with the others"
        ) from None
    echo(f"{counted(watching.count, 'image')} in {options['out']}")
    return 0


def _watching(detector: Detector, incoming: Path, journal: Journal, options: dict[str, Any]) -> _Watching:
    """Goes on behind the rows that are there."""
    from adbench.detector.arrivals import Arrivals
    from adbench.detector.drift import Drift
    from adbench.detector.outputs.folder import PredictionFolder

    kinds = kinds_of(options)
    contours = journal.contours() if "coco" in kinds else None
    folder = PredictionFolder(options["out"], kinds, journal.writer, contours)
    drift, known = Drift(detector.normal_scores, options["drift"]), set()
    for row in journal.rows():
        known.add(row["file"])
        if row["score"] is not None:
            drift.update(row["score"])
    return _Watching(detector, Arrivals(incoming, known), folder, drift, len(known))


class _Watching:
    """What watches one folder with one detector.

    Attributes:
        count: images that have a row.
    """

    def __init__(
        self, detector: Detector, arrivals: Arrivals, folder: PredictionFolder, drift: Drift, count: int
    ) -> None:
        self._detector, self._arrivals, self._folder, self._drift = detector, arrivals, folder, drift
        self.count = count
        self._left_out = ""

    def step(self) -> bool:
        """Poll the folder once, and score the images that are ready; returns whether there may be more."""
        poll = self._arrivals.poll()
        self._score(poll.ready)
        if not poll.ready:
            self._print_left_out()
        return bool(poll.ready or poll.waiting)

    def _print_left_out(self) -> None:
        """Say which pictures are not read, once for each change."""
        from adbench.detector.fit.folders import left_out

        before, self._left_out = self._left_out, left_out(self._arrivals.folder)
        if self._left_out not in {"", before}:
            echo(self._left_out, err=True, fg="yellow")

    def close(self) -> None:
        """Write the contours of all images into one file."""
        self._folder.finish()

    def _score(self, paths: Sequence[Path]) -> None:
        drifted = self._drift.since is not None
        for path, outcome in zip(paths, self._detector.outcomes(paths), strict=True):
            self._folder.write(self._arrivals.name_of(path), outcome, self._evidence(outcome))
            self._arrivals.take(path)
            self.count += 1
        if self._drift.since is not None and not drifted:
            echo(self._drift.words, err=True, fg="red")

    def _evidence(self, outcome: Prediction | BadImage) -> float | None:
        if isinstance(outcome, Exception):
            echo(outcome, err=True, fg="yellow")
            return None
        return self._drift.update(outcome.score)
