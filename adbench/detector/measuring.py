"""Figures of a detector on a folder of defective images, compared with the normal images that it learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from adbench.api.dataset import Dataset, Sample, Split
from adbench.datasets import MASK_SUFFIXES, IgnoreMask, ignored_in, read_mask, read_size
from adbench.detector.detector import Detector
from adbench.detector.fit.folders import files_below
from adbench.detector.fit.state import Figures
from adbench.engine.evaluate.evaluator import Evaluator, measure
from adbench.engine.plan.map_spec import MapSpec
from adbench.engine.store.predictions import Predictions
from adbench.errors import DataError, printable
from adbench.registration.registry import installed

DEFECT = "defect"


def measure_with(detector: Detector, abnormal: Path, masks: Path | None = None) -> Figures:
    """Measure a detector on defective images; the figures stay with it.

    Image figures compare them with the normal images that the detector learned from, each as it was scored by a bank
    that had not seen it. Pixel figures are those of the defective images' own pixels.

    Args:
        detector: has learned.
        abnormal: a folder of defective images.
        masks: the folder of their masks, or None.

    Raises:
        DataError: there is no image, or a mask belongs to none.
        BadImage: an image or mask cannot be read.
    """
    state, paths = detector.fitted, files_below(abnormal)
    named = {} if masks is None else _masks_of(paths, abnormal, masks)
    dataset = _Defects(abnormal, paths, named, state.about.ignore)
    found = list(detector.predict(paths))
    normal = state.calibration.normal.values
    predictions = Predictions(
        ids=tuple(sample.id for sample in dataset.samples),
        geometry=tuple(one.geometry for one in found),
        scores=np.array([one.score for one in found], np.float32),
        patches=None if found[0].patches is None else [one.patches for one in found if one.patches is not None],
    )
    evaluator = Evaluator(dataset, dataset.samples, predictions, state.recipe.map or MapSpec(), None)
    evidence = evaluator.evidence()
    evidence = replace(
        evidence,
        labels=np.concatenate([np.zeros(len(normal), bool), evidence.labels]),
        scores=np.concatenate([normal, evidence.scores]),
    )
    metrics = installed().metrics()
    figures = Figures(
        on=f"{abnormal.name} and the normal images that it learned from",
        normal=len(normal),
        abnormal=len(found),
        metrics=measure(metrics, evidence),
    )
    detector.state = replace(state, about=replace(state.about, figures=figures))
    return figures


def _masks_of(images: Sequence[Path], folder: Path, masks: Path) -> dict[Path, Path]:
    """The mask of each image that has one: of its name below the folder, or with ``_mask`` after it.

    Raises:
        DataError: there is no mask, or one that belongs to no image.
    """
    by_name = {image.relative_to(folder).with_suffix("").as_posix(): image for image in images}
    found: dict[Path, Path] = {}
    for path in files_below(masks, MASK_SUFFIXES):
        name = path.relative_to(masks).with_suffix("").as_posix()
        image = by_name.get(name) or by_name.get(name.removesuffix("_mask"))
        if image is None:
            raise DataError(f"{printable(path)}: a mask of no image in {printable(folder)}; call it like its image")
        found[image] = path
    return found


class _Defects(Dataset):
    """Defective images of a folder, as the evaluation reads those of a dataset."""

    name = "folder"

    def __init__(
        self, folder: Path, images: Sequence[Path], masks: Mapping[Path, Path], ignore: IgnoreMask | None
    ) -> None:
        super().__init__()
        self._ignore = ignore
        self._images = {image.relative_to(folder).as_posix(): image for image in images}
        self._masks = masks
        self.samples = tuple(Sample(name, DEFECT) for name in self._images)

    def categories(self) -> Sequence[str]:
        return [DEFECT]

    def split(self, category: str) -> Split:  # noqa: ARG002  there is one
        return Split((), self.samples)

    def image(self, sample: Sample) -> np.ndarray:
        raise NotImplementedError(sample.id)  # scores are there already

    def mask(self, sample: Sample) -> np.ndarray | None:
        image = self._images[sample.id]
        return read_mask(self._masks[image], read_size(image)) if image in self._masks else None

    def ignored(self, sample: Sample) -> np.ndarray | None:
        image = self._images[sample.id]
        mask = ignored_in(image, self._ignore)
        return None if mask is None else mask.of(image, read_size(image))

    def digest(self, sample: Sample) -> str:
        raise NotImplementedError(sample.id)

    def revision(self) -> str:
        return "given"
