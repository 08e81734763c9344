"""The proof of an export: scores and maps of the file beside those of the detector, on the same images."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from adbench.detector.export.formats import Score
from adbench.errors import UsageError

TOLERANCE = 1e-4
"""The largest relative difference of a score, and of a map's pixel relative to the map's largest value."""


class Comparison(NamedTuple):
    """The results of the detector and of the file on one image.

    Attributes:
        score: by the detector.
        score_off: how far the file's score is off, relative to the detector's.
        map_off: the largest difference of a pixel, relative to the map's largest value; 0 without a map.
    """

    name: str
    score: float
    score_off: float
    map_off: float


class ExportReport(BaseModel):
    """The report of a comparison.

    Attributes:
        images: that were given and compared.
        synthetic: images that were made and compared.
        left_out: images that were given, but that the detector learned from, or of another size than the file takes.
        largest_score_difference: relative.
        largest_map_difference: relative to the largest value of the map.
        tolerance: what was allowed of either.
        runtime: what computed the file.
    """

    model_config = ConfigDict(frozen=True)

    images: int
    synthetic: int
    left_out: int
    largest_score_difference: float
    largest_map_difference: float
    tolerance: float
    runtime: str

    @property
    def words(self) -> str:
        """The report in one sentence."""
        given = f"{self.images} given and {self.synthetic} synthetic images"
        off = f"score differences up to {self.largest_score_difference:.1e}"
        beside = f", {self.left_out} others left out" if self.left_out else ""
        return f"{given}: {off}, map differences up to {self.largest_map_difference:.1e}{beside}"


Answer = Callable[[np.ndarray], "tuple[float, np.ndarray | None]"]
"""An image [H, W, 3] to its score and its map, by the detector."""


@dataclass(frozen=True)
class Comparer:
    """Compares a file with its detector, image by image.

    Attributes:
        answer: the detector.
        score: the file.
        batch: images a call of the file; it is filled with copies.
    """

    answer: Answer
    score: Score
    batch: int

    def compared(self, images: Iterable[tuple[str, np.ndarray]]) -> list[Comparison]:
        """The comparisons of images [H, W, 3] of the file's size and type, by name."""
        return [self._comparison(name, image) for name, image in images]

    def _comparison(self, name: str, image: np.ndarray) -> Comparison:
        (score, wanted), found = self.answer(image), self.score(np.stack([image] * self.batch))
        off = _relative(found[0], np.float32(score), abs(score))
        if wanted is None:
            return Comparison(name, score, off, 0.0)
        return Comparison(name, score, off, _relative(found[1], wanted, float(np.abs(wanted).max())))


def _relative(found: np.ndarray, wanted: np.ndarray | np.float32, size: float) -> float:
    """The largest difference, relative to a size."""
    return float(np.abs(found - wanted).max()) / max(size, float(np.finfo(np.float32).tiny))


def require_equal(comparisons: Iterable[Comparison], what: str) -> None:
    """Refuse an export whose scores or maps differ.

    Raises:
        UsageError: with the image on which they differ most.
    """
    worst = max(comparisons, key=_off)
    if _off(worst) > TOLERANCE:
        raise UsageError(
            f"the exported {what} is not written, because its scores are not the detector's: on {worst.name!r} the"
            f" score differs by {worst.score_off:.1e} and the map by {worst.map_off:.1e} (relative); at most"
            f" {TOLERANCE:.0e} is allowed; report this with the recipe's name"
        )


def _off(one: Comparison) -> float:
    """The larger difference; infinite if one is NaN."""
    differences = (one.score_off, one.map_off)
    return float("inf") if any(map(math.isnan, differences)) else max(differences)


def report_of(given: list[Comparison], made: list[Comparison], left_out: int, runtime: str) -> ExportReport:
    """The report of the comparisons with given images and with synthetic ones."""
    everything = [*given, *made]
    return ExportReport(
        images=len(given),
        synthetic=len(made),
        left_out=left_out,
        largest_score_difference=max(one.score_off for one in everything),
        largest_map_difference=max(one.map_off for one in everything),
        tolerance=TOLERANCE,
        runtime=runtime,
    )
