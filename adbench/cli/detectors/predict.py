"""``adbench predict``: scores of images, as tables and pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adbench.cli.detectors.choices import (
    computing_options,
    detector_file,
    kinds_of,
    loaded,
    predicting_options,
    print_left_out,
)
from adbench.cli.options import SectionedCommand, option
from adbench.cli.screen import counted, echo
from adbench.errors import StorageError, UsageError

if TYPE_CHECKING:
    from adbench.detector.drift import Drift
    from adbench.detector.outputs.folder import PredictionFolder
    from adbench.detector.prediction import Prediction
    from adbench.errors import BadImage


@click.command("predict", cls=SectionedCommand)
@detector_file
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE|DIR...")
@option(
    "--out",
    section="Detector",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder of predictions.",
)
@option(
    "--explain",
    section="Detector",
    is_flag=True,
    help="Also write explanations: the most anomalous patch beside the nearest normal one, with the shares of layers.",
)
@option(
    "--normal",
    section="Detector",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A folder to look for normal images in, for --explain; by default they are looked for where they were.",
)
@predicting_options
@computing_options
def command(file: Path, images: tuple[Path, ...], **options: Any) -> int:
    """Score images with a detector.

    A folder stands for all images in it and below it. The folder of predictions gets predictions.csv and
    predictions.jsonl (file, score, p-value, alarm, threshold, milliseconds, evidence for drift), and for each image a
    heatmap, a mask, and contours for COCO and labelme. An image that cannot be read is a row with the reason; the exit
    code is then 1.

    \b
    adbench predict bolt.adbench images/ --out predictions/
    adbench predict bolt.adbench images/ --out predictions/ --explain
    """  # noqa: D301  \b is click's mark for a paragraph to keep as it is
    from adbench.detector.drift import Drift
    from adbench.detector.fit.folders import left_out

    if options["normal"] and not options["explain"]:
        raise UsageError("--normal says where to find normal images for explanations; give --explain, too")
    detector = loaded(file, options)
    tally = _Tally(Drift(detector.normal_scores, options["drift"]))
    print_left_out(left_out(path) for path in images if path.is_dir())
    folder = _folder(options)
    try:
        for name, outcome in zip(_names(images), detector.outcomes(_paths(images)), strict=True):
            folder.write(name, outcome, tally.evidence(outcome))
            tally.add(outcome)
    except StorageError as error:
        rest = f"{tally.count} images are written whole in {options['out']}"
        raise StorageError(f"{error}; {rest}; give the others again, with another --out") from None
    finally:
        folder.close()
    tally.print_summary(options["out"], detector.threshold().reason)
    return 1 if tally.bad else 0


def _folder(options: dict[str, Any]) -> PredictionFolder:
    from adbench.detector.outputs.folder import PredictionFolder

    return PredictionFolder(options["out"], kinds_of(options), explain=options["explain"], normal=options["normal"])


def _paths(given: tuple[Path, ...]) -> Iterator[Path]:
    from adbench.detector.fit.folders import files_below

    for path in given:
        yield from files_below(path) if path.is_dir() else (path,)


def _names(given: tuple[Path, ...]) -> Iterator[str]:
    """What each image is called in the tables: its path below the folder, if one was given, or as it was given."""
    alone = given[0] if len(given) == 1 and given[0].is_dir() else None
    return (path.as_posix() if alone is None else path.relative_to(alone).as_posix() for path in _paths(given))


class _Tally:
    """The counts for the summary after all images are scored."""

    def __init__(self, drift: Drift) -> None:
        self._drift = drift
        self.count = self.alarms = self.bad = 0
        self._notes: Counter[str] = Counter()

    def evidence(self, outcome: Prediction | BadImage) -> float | None:
        """The evidence for drift up to this image; None if it cannot be read."""
        return None if isinstance(outcome, Exception) else self._drift.update(outcome.score)

    def add(self, outcome: Prediction | BadImage) -> None:
        self.count += 1
        if isinstance(outcome, Exception):
            self.bad += 1
            echo(outcome, err=True, fg="yellow")
            return
        self.alarms += bool(outcome.is_anomalous)
        self._notes.update(outcome.notes)

    def print_summary(self, folder: Path, reason: str) -> None:
        for note, count in self._notes.most_common(5):
            echo(f"note: {counted(count, 'image')}: {note}", err=True)
        if self._drift.since is not None:
            echo(self._drift.words, err=True, fg="red")
        alarms = f"no threshold: {reason}" if reason else f"{self.alarms} above the threshold"
        bad = f", {self.bad} cannot be read" if self.bad else ""
        echo(f"{counted(self.count, 'image')} in {folder}: {alarms}{bad}")
