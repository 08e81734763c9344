"""Predictions and truth meet here, and only here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from adbench.api.bounded_cache import BoundedCache
from adbench.api.curves.curve import curve_of_judged
from adbench.api.curves.regions import RegionTruth
from adbench.api.curves.truth import Truth
from adbench.api.dataset import Dataset, Sample
from adbench.api.metric import Evidence, Measure, Metric
from adbench.engine.evaluate.anomaly_map import anomaly_map, anomaly_maps, foreground_on_grid
from adbench.engine.evaluate.grid_masks import mask_on_grid, region_on_grid
from adbench.engine.features.contract import blame, require_type
from adbench.engine.features.read_ahead import read_ahead
from adbench.engine.plan.map_spec import MapSpec
from adbench.engine.store.predictions import Predictions
from adbench.engine.store.record import MetricInfo
from adbench.errors import ContractError, DataError

if TYPE_CHECKING:
    from adbench.api.curves.curve import Curve
    from adbench.api.curves.regions import RegionMap
    from adbench.api.curves.threshold_table import JudgedMap
    from adbench.api.curves.truth import MaskedMap
    from adbench.engine.evaluate.device_curve import JudgedMaps

Item = TypeVar("Item")

VANISHED, EMPTY = "vanished_defects", "empty_masks"
"""What records call the counts of `Judge.facts`."""
BATCH_PIXELS = 1 << 24
"""Pixels of the maps that are made at once on a GPU, at about 20 bytes each."""


class Annotation(NamedTuple):
    """What is known of one defective image.

    Attributes:
        truth: on the evaluation grid; None where there is no annotation.
        vanished: defects that the grid is too coarse to show, and that were kept all the same.
        empty: whether there is a mask, and it marks nothing.
    """

    truth: Truth | None
    vanished: int = 0
    empty: bool = False


@dataclass(frozen=True)
class Evaluator:
    """Joins one category's predictions with its truth.

    Attributes:
        dataset, samples: the test images, in the order of the predictions.
        predictions: what the method said.
        spec: how patch scores become an anomaly map.
        grid: the evaluation grid, or None for each image's own.
        device: where curves are computed, in torch's words.
        workers: threads that read masks ahead.
        cache: what evaluators before this one have read of the images.
        annotations: what this one has read of the defective images, by id.
    """

    dataset: Dataset
    samples: Sequence[Sample]
    predictions: Predictions
    spec: MapSpec
    grid: tuple[int, int] | None
    device: str = "cpu"
    workers: int = 2
    cache: BoundedCache = field(default_factory=BoundedCache)
    annotations: dict[str, Annotation] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if tuple(sample.id for sample in self.samples) != self.predictions.ids:
            raise DataError("the predictions are of other images than the dataset's; give the data they were made on")

    def map(self, index: int) -> np.ndarray:
        """[H, W] float32: the anomaly map of one test image on the evaluation grid."""
        patches = self._patches()
        return anomaly_map(patches[index], self.predictions.geometry[index], self.spec, self.grid)

    def mask(self, index: int) -> np.ndarray | None:
        """[H, W] bool: the truth of one test image on the evaluation grid; None where it has no annotation."""
        truth = self.truth(index)
        return None if truth is None else truth.mask

    def foreground(self, index: int) -> np.ndarray | None:
        """[H, W] bool: where the method saw the object of one test image; None where it masked nothing."""
        masks, place = self.predictions.foreground, self.predictions.geometry[index]
        return None if masks is None else foreground_on_grid(masks[index], place, self.grid)

    def truth(self, index: int) -> Truth | None:
        """The same, as it is kept."""
        sample = self.samples[index]
        if not sample.anomalous:
            return Truth.nothing(self.grid or self.predictions.geometry[index].original)
        key = self.dataset, sample.id, self.grid
        annotation = self.annotations[sample.id] = self.cache.get_or_make(key, partial(self._read, sample), _bytes)
        return annotation.truth

    def _read(self, sample: Sample) -> Annotation:
        """The annotation of a defective image. A mask that marks nothing is none: the defect is somewhere."""
        with blame(self.dataset, "mask"):
            mask = self.dataset.mask(sample)
        if mask is None or not mask.any():
            return Annotation(None, empty=mask is not None)
        marked, vanished = mask_on_grid(mask, self.grid)
        return Annotation(Truth.of(marked), vanished)

    def facts(self) -> dict[str, float]:
        """What a record counts of the masks that were read: those that mark nothing, if there are any, and, on a grid
        of its own, defects that it is too coarse to show.
        """
        found = self.annotations.values()
        vanished, empty = sum(one.vanished for one in found), sum(one.empty for one in found)
        facts = {} if self.grid is None or not found else {VANISHED: float(vanished)}
        return facts | ({EMPTY: float(empty)} if empty else {})

    def remarks(self) -> Iterator[str]:
        """A sentence for each of the facts that a person should know of."""
        facts, empty = self.facts(), [name for name, one in self.annotations.items() if one.empty]
        if empty:
            yield (
                f"{len(empty)} of {len(self.annotations)} defective images have a mask that marks nothing, such as"
                f" {min(empty)}: they are left out of the pixel metrics"
            )
        if self.grid is not None and facts.get(VANISHED):
            grid = "x".join(map(str, self.grid))
            yield f"{facts[VANISHED]:.0f} defects would vanish on {grid} pixels: they are kept as the pixels they touch"

    def masked_maps(self) -> Iterator[MaskedMap]:
        """Map and mask of every annotated test image."""
        return ((scores, truth.mask) for scores, truth in self.judged_maps())

    def judged_maps(self) -> Iterator[JudgedMap]:
        """Map and truth of every annotated test image."""
        return ((self.map(index), truth) for index, truth in self._annotated())

    def _annotated(self) -> Iterator[tuple[int, Truth]]:
        # Maps need it in this thread while masks need it in the readers' (see read_ahead)
        import scipy.ndimage  # noqa: F401

        count = len(self.samples)
        for index, truth in enumerate(read_ahead(self.truth, range(count), self.workers, 4 * self.workers)):
            if truth is not None:
                yield index, truth

    def judged_batches(self) -> Iterator[JudgedMaps]:
        """The same in batches of one geometry, made on the device."""
        import torch

        patches, geometry = self._patches(), self.predictions.geometry
        for (place, _), group in groupby(self._annotated(), lambda item: (geometry[item[0]], patches[item[0]].shape)):
            height, width = self.grid or place.original
            for items in _chunks(group, max(1, BATCH_PIXELS // (height * width))):
                scores = torch.from_numpy(np.stack([patches[index] for index, _ in items])).to(self.device)
                yield anomaly_maps(scores, place, self.spec, self.grid), [truth for _, truth in items]

    def _patches(self) -> Sequence[np.ndarray]:
        if self.predictions.patches is None:
            raise DataError("this method gives no anomaly map")
        return self.predictions.patches

    def pixel_curve(self) -> Curve:
        """All thresholds on the pixels of the annotated images: the one place that chooses who computes them."""
        if not self.device.startswith("cuda"):
            return curve_of_judged(self.judged_maps)
        from adbench.engine.evaluate.device_curve import curve_on_device

        return curve_on_device(self.judged_batches, self.device)

    def region_maps(self) -> Iterator[RegionMap]:
        """Map and regions of every annotated test image."""
        truths = read_ahead(self.region_truth, range(len(self.samples)), self.workers, 4 * self.workers)
        return ((self.map(index), truth) for index, truth in enumerate(truths) if truth is not None)

    def region_truth(self, index: int) -> RegionTruth | None:
        """The regions of one test image on the evaluation grid; None where it has no annotation."""
        sample = self.samples[index]
        if not sample.anomalous:
            return RegionTruth(self.grid or self.predictions.geometry[index].original, ())
        key = self.dataset, sample.id, self.grid, "regions"
        return self.cache.get_or_make(key, partial(self._read_regions, sample), _region_bytes)

    def _read_regions(self, sample: Sample) -> RegionTruth | None:
        with blame(self.dataset, "regions"):
            regions = self.dataset.regions(sample)
        if not regions:
            return None
        shown = [region_on_grid(region, self.grid) for region in regions]
        return RegionTruth(shown[0].shape, shown)

    def evidence(self) -> Evidence:
        """What metrics read."""
        mapped = self.predictions.patches is not None
        told_apart = type(self.dataset).regions is not Dataset.regions
        return Evidence(
            labels=np.array([sample.anomalous for sample in self.samples]),
            scores=self.predictions.scores,
            maps=self.masked_maps if mapped else None,
            curve=self.pixel_curve if mapped else None,
            regions=self.region_maps if mapped and told_apart else None,
        )


def _bytes(annotation: Annotation) -> int:
    """With the sizes of the regions, which are found here and now, in the thread that reads."""
    truth = annotation.truth
    return 0 if truth is None else truth.positions.nbytes + truth.sizes.nbytes


def _region_bytes(truth: RegionTruth | None) -> int:
    return 0 if truth is None else truth.union.nbytes + sum(region.positions.nbytes for region in truth.regions)


def _chunks(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while chunk := list(islice(items, size)):
        yield chunk


def measure(metrics: Iterable[Metric], evidence: Evidence) -> dict[str, MetricInfo]:
    """Every metric's figure, by name; without those that need what the dataset or the method does not give.

    Raises:
        ContractError: a metric gave NaN or infinity instead of None with a reason.
    """
    results = {}
    for metric in metrics:
        if any(getattr(evidence, field) is None for field in metric.needs):
            continue
        with blame(metric, "measure"):
            answer = metric.measure(evidence)
            require_type(metric, "measure()", answer, Measure)
            if answer.value is not None and not np.isfinite(answer.value):
                raise ContractError(
                    metric.title, f"measure() gave {answer.value}; an undefined figure is None with a reason"
                )
            value = None if answer.value is None else float(answer.value)
            results[metric.name] = MetricInfo(value=value, version=metric.version, reason=answer.reason)
    return results
