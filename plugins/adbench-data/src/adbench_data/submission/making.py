"""From a recipe to the maps and masks of a submission: one detector for each object, thresholds from normal images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from adbench import DataError, Dataset, UsageError
from adbench_data.submission.files import images_of
from adbench_data.submission.half import HalfScale, distinct
from adbench_data.submission.package import Package

if TYPE_CHECKING:
    from adbench import Detector


class ObjectReport(NamedTuple):
    """What was made of an object.

    Attributes:
        images: number of private images.
        threshold: the pixel threshold on the scores, before they were scaled.
        before, after: median number of different values in a map, as float32 and as float16.
        seg_f1: pixel F1 on the public test images at the threshold; None where they have no marked pixel.
    """

    category: str
    images: int
    threshold: float
    before: int
    after: int
    seg_f1: float | None


@dataclass(frozen=True)
class Submission:
    """What is submitted.

    Attributes:
        dataset: MVTec AD 2.
        root: its folder.
        detector: makes a detector that has learned nothing yet.
        sigmas: the pixel threshold is so many standard deviations above the mean of the pixels of normal images.
    """

    dataset: Dataset
    root: Path
    detector: Callable[[], Detector]
    sigmas: float = 3.0

    def add_object(self, category: str, package: Package) -> ObjectReport:
        """Fit a detector on an object, and add the maps and masks of its private images to a package.

        Raises:
            DataError: images are missing.
            UsageError: the method makes no maps.
        """
        folder = self.root / category
        images, normal = images_of(self.root, category), sorted((folder / "validation/good").glob("*.png"))
        if len(normal) < 2:
            raise DataError(f"MVTec AD 2, {category}/validation/good: {len(normal)} images are there; unpack it again")
        detector = self.detector().fit(sorted((folder / "train/good").glob("*.png")))
        threshold = pixel_threshold(_maps(detector, normal), self.sigmas)
        found = list(detector.predict(images.values()))
        scale, counts = _scale_of(found), []
        for place, prediction in zip(images, found, strict=True):
            scores = _map_of(prediction)
            half = scale.half(scores)
            package.add(place, half, scores > threshold)
            counts.append((distinct(scores), distinct(half)))
        before, after = (int(np.median(column)) for column in zip(*counts, strict=True))
        return ObjectReport(
            category, len(images), threshold, before, after, self._public(category, detector, threshold)
        )

    def _public(self, category: str, detector: Detector, threshold: float) -> float | None:
        samples = self.dataset.split(category).test
        paths = [self.dataset.image_path(sample) for sample in samples]  # type: ignore[attr-defined]
        masks = (self.dataset.mask(sample) for sample in samples)
        pairs = zip(_maps(detector, paths), masks, strict=True)
        return seg_f1(((scores > threshold, mask) for scores, mask in pairs if mask is not None))


def pixel_threshold(maps: Iterable[np.ndarray], sigmas: float) -> float:
    """Mean and standard deviation of all pixels of normal images: mean + sigmas * deviation, as MVTec suggests.

    Args:
        maps: anomaly maps of normal images that the bank has not seen.
        sigmas: at least 0.
    """
    count, total, squares = 0, 0.0, 0.0
    for scores in maps:
        values = scores.astype(np.float64)
        count, total, squares = count + values.size, total + float(values.sum()), squares + float((values**2).sum())
    mean = total / count
    return mean + sigmas * float(np.sqrt(max(squares / count - mean**2, 0.0)))


def seg_f1(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> float | None:
    """MVTec AD 2's SegF1: F1 of the marked pixels of all images of an object together (arXiv 2503.21622, section 4).

    Args:
        pairs: marked pixels and mask of each image, [H, W] bool; normal images have an empty mask.

    Returns:
        2 TP / (2 TP + FP + FN); None if no mask marks a pixel.
    """
    hits = marked = defective = 0
    for found, mask in pairs:
        hits += int((found & mask).sum())
        marked, defective = marked + int(found.sum()), defective + int(mask.sum())
    return 2 * hits / (marked + defective) if defective else None


def _maps(detector: Detector, paths: Iterable[Path]) -> Iterator[np.ndarray]:
    return (_map_of(prediction) for prediction in detector.predict(paths))


def _map_of(prediction: Any) -> np.ndarray:
    if prediction.map is None:
        raise UsageError("this method makes no anomaly maps, and a submission consists of them; choose another recipe")
    scores: np.ndarray = prediction.map
    return scores


def _scale_of(found: Iterable[Any]) -> HalfScale:
    """The range of all maps of an object: that of the patch scores, which maps are averages of."""
    patches = [prediction.patches for prediction in found]
    if any(one is None for one in patches):
        raise UsageError("this method makes no anomaly maps, and a submission consists of them; choose another recipe")
    return HalfScale(min(float(one.min()) for one in patches), max(float(one.max()) for one in patches))
