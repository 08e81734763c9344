"""Scores of finished runs, an image at a time, with photograph, map and truth: what other tools are given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from adbench.engine.plan.data_origin import Datasets
from adbench.engine.store.record import ResultRecord, find_runs, read_record
from adbench.errors import StorageError

if TYPE_CHECKING:
    from adbench.api.dataset import Dataset, Sample
    from adbench.engine.evaluate.evaluator import Evaluator


@dataclass(frozen=True)
class StoredRun:
    """A run on disk.

    Attributes:
        folder: of the run.
        record: in it.
    """

    folder: Path
    record: ResultRecord

    def pictures(self) -> list[Path]:
        """The pictures beside the record, by name."""
        return sorted(self.folder.glob("*.png"))


@dataclass(frozen=True)
class RunImage:
    """One test image with its truth and one method's scores.

    Attributes:
        id: of the image in its dataset; it begins with the category.
        file: the image's file; None where the dataset has none.
        defect: its kind of defect, or ``"good"``.
        score: the image score.
        map: [H, W] float32 anomaly map on the image's own pixels; None for a method without maps.
        mask: [H, W] bool, True on defective pixels; None for a defective image without an annotation.
    """

    id: str
    file: Path | None
    defect: str
    score: float
    map: np.ndarray | None
    mask: np.ndarray | None


@dataclass(frozen=True)
class ScoredRun:
    """A run with the images that it judged.

    Attributes:
        run: on disk.
        dataset: of the images.
        evaluator: joins scores and truth, on the images' own pixels.
    """

    run: StoredRun
    dataset: Dataset
    evaluator: Evaluator

    def __len__(self) -> int:
        return len(self.evaluator.samples)

    @property
    def record(self) -> ResultRecord:
        """The record of the run."""
        return self.run.record

    @property
    def has_maps(self) -> bool:
        """Whether the method gives maps."""
        return self.evaluator.predictions.patches is not None

    @cached_property
    def threshold(self) -> float | None:
        """The image score above which the run raises an alarm; None where it set no threshold."""
        from adbench.engine.evaluate.details import read_details

        with suppress(StorageError):
            details = read_details(self.run.folder)
            return None if details.id != self.record.id or details.threshold is None else details.threshold.value
        return None

    @cached_property
    def limits(self) -> tuple[float, float]:
        """The lowest and the highest value of all maps of the run; every map is computed for them.

        Raises:
            StorageError: the method gives no maps.
        """
        if not self.has_maps:
            raise StorageError(f"{self.record.recipe.name} gives no maps")
        ends = [(float(found.min()), float(found.max())) for found in map(self.evaluator.map, range(len(self)))]
        return min(low for low, _ in ends), max(high for _, high in ends)

    def images(self) -> Iterator[RunImage]:
        """The test images in the order of the predictions; one map is in memory at a time.

        Raises:
            BadImage: a mask cannot be read.
        """
        for index, sample in enumerate(self.evaluator.samples):
            yield RunImage(
                id=sample.id,
                file=_file_of(self.dataset, sample),
                defect=sample.defect,
                score=float(self.evaluator.predictions.scores[index]),
                map=self.evaluator.map(index) if self.has_maps else None,
                mask=self._mask(index, sample),
            )

    def _mask(self, index: int, sample: Sample) -> np.ndarray | None:
        """The mask of an image as its dataset has it; the evaluator would keep all of them in memory."""
        if not sample.anomalous:
            return np.zeros(self.evaluator.predictions.geometry[index].original, bool)
        mask = self.dataset.mask(sample)
        return None if mask is None or not mask.any() else mask

    def gray(self, values: np.ndarray) -> np.ndarray:
        """[H, W] uint8: a map of this run, 0 at the lowest of `limits` and 255 at the highest.

        Args:
            values: [H, W] map of one image.
        """
        low, high = self.limits
        span = (high - low) or 1.0
        levels: np.ndarray = (255 * (values.astype(np.float64) - low) / span).round().astype(np.uint8)
        return levels

    def pixels(self, image_id: str) -> np.ndarray:
        """[H, W, 3] uint8: the photograph of an image as the method read it.

        Args:
            image_id: of the image.

        Raises:
            BadImage: it cannot be read any more.
        """
        sample = next(sample for sample in self.evaluator.samples if sample.id == image_id)
        image = self.dataset.image(sample)
        return image if image.dtype == np.uint8 else (np.clip(image, 0, 1) * 255).round().astype(np.uint8)


def _file_of(dataset: Dataset, sample: Sample) -> Path | None:
    """The file of an image; None where its dataset keeps no files."""
    path_of: Callable[[Sample], Path] | None = getattr(dataset, "image_path", None)  # what datasets of files have
    return path_of and path_of(sample)


def read_runs(*places: Path | str) -> list[StoredRun]:
    """The runs in each place, failed ones included, sorted by folder.

    Args:
        places: folders of runs, or single runs.

    Raises:
        StorageError: a place holds no run, or one that cannot be read.
    """
    found: dict[Path, StoredRun] = {}
    for place in map(Path, places):
        folders = find_runs(place)
        if not folders:
            raise StorageError(f"{place}: holds no run; give a folder that 'adbench run' wrote")
        found |= {folder: StoredRun(folder, read_record(folder)) for folder in folders}
    return list(found.values())


def scored_runs(runs: Iterable[StoredRun], data: str | None = None) -> Iterator[ScoredRun]:
    """Runs with their images; runs without a result are left out.

    Args:
        runs: such as `read_runs` returns.
        data: a dataset's name or folder, if it is no longer in the place that the runs stored.

    Raises:
        StorageError: the scores of a run cannot be read, or its dataset is unknown.
        DataError: the images are not there, or not those of the run.
    """
    from adbench.engine.evaluate.reproduce import evaluator_of
    from adbench.registration.registry import installed

    datasets = Datasets(installed(), data)
    for run in runs:
        if run.record.predictions is not None:
            dataset = datasets.of(run.folder, run.record)
            evaluator = evaluator_of(run.folder, run.record, dataset)
            yield ScoredRun(run, dataset, replace(evaluator, grid=None))
