"""The evaluator: the only place that compares predictions with the truth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from adbench.api.bounded_cache import BoundedCache
from adbench.api.curves.classes import ClassPredictions
from adbench.api.curves.curve import curve_of_annotated
from adbench.api.curves.regions import Region, RegionTruth
from adbench.api.curves.truth import Truth
from adbench.api.dataset import GOOD, Dataset, Sample
from adbench.api.metric import Evidence, Measure, Metric
from adbench.engine.evaluate.anomaly_map import anomaly_map, anomaly_maps, foreground_on_grid
from adbench.engine.evaluate.grid_masks import mask_on_grid, region_on_grid
from adbench.engine.evaluate.ignoring import lowest_where, on_evaluation_grid, regions_within, without_ignored
from adbench.engine.features.contract import naming_component, require_type
from adbench.engine.features.ignoring import on_grid, on_prepared
from adbench.engine.features.read_ahead import read_ahead
from adbench.engine.plan.map_spec import MapSpec
from adbench.engine.plan.threshold_rule import SIGMAS
from adbench.engine.store.class_report import ClassReport
from adbench.engine.store.predictions import Predictions
from adbench.engine.store.record import MetricInfo
from adbench.errors import ContractError, DataError

if TYPE_CHECKING:
    from torch import Tensor

    from adbench.api.curves.curve import Curve
    from adbench.api.curves.regions import RegionMap
    from adbench.api.curves.threshold_table import AnnotatedMap
    from adbench.api.curves.truth import MaskedMap
    from adbench.engine.evaluate.device_curve import AnnotatedMaps

Item = TypeVar("Item")

VANISHED, EMPTY, IGNORED = "vanished_defects", "empty_masks", "ignored_defects"
"""Names in records of the counts of `Evaluator.facts`."""
BATCH_PIXELS = 1 << 24
"""Number of pixels of a batch of maps on a GPU, at about 20 bytes each."""


class Annotation(NamedTuple):
    """The annotation of one defective image.

    Attributes:
        truth: on the evaluation grid; None without an annotation.
        vanished: number of defects that are too small for the grid and were kept.
        empty: whether there is a mask that marks no pixel.
        ignored: number of defects all of whose pixels are ignored.
    """

    truth: Truth | None
    vanished: int = 0
    empty: bool = False
    ignored: int = 0


@dataclass(frozen=True)
class Evaluator:
    """The evaluator of one category: it joins predictions with the truth.

    Attributes:
        dataset, samples: the test images, in the order of the predictions.
        predictions: the method's scores.
        spec: the rule that makes an anomaly map of patch scores.
        grid: the evaluation grid, or None for each image's own.
        device: torch's name of the device that computes curves.
        workers: number of threads that read masks ahead.
        cache: masks and thumbnails, which several evaluators share.
        annotations: the annotations of defective images that were read, by id.
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
            raise DataError("the predictions are of other images than the dataset's; give the data of the run")

    def map(self, index: int) -> np.ndarray:
        """[H, W] float32: the anomaly map of one test image on the evaluation grid; lowest on ignored pixels."""
        patches = self._patches()
        found = anomaly_map(patches[index], self.predictions.geometry[index], self.spec, self.grid)
        return lowest_where(found, self.ignored(index))

    def mask(self, index: int) -> np.ndarray | None:
        """[H, W] bool: the mask of one test image on the evaluation grid; None without an annotation."""
        truth = self.truth(index)
        return None if truth is None else truth.mask

    def foreground(self, index: int) -> np.ndarray | None:
        """[H, W] bool: the masker's foreground of one test image; None without a masker."""
        masks, place = self.predictions.foreground, self.predictions.geometry[index]
        return None if masks is None else foreground_on_grid(masks[index], place, self.grid)

    def ignored(self, index: int) -> np.ndarray | None:
        """[H, W] bool: the ignored pixels of one test image on the evaluation grid; None for none."""
        ignored = self._ignored(self.samples[index])
        return None if ignored is None else on_evaluation_grid(ignored, self.grid)

    def ignored_patches(self, index: int) -> Tensor | None:
        """[h, w] bool: the ignored patches of one test image; None for none."""
        ignored = self._ignored(self.samples[index])
        if ignored is None or self.predictions.patches is None:
            return None
        import torch

        grid, place = self.predictions.patches[index].shape, self.predictions.geometry[index]
        return on_grid(on_prepared(torch.from_numpy(ignored), place), (grid[0], grid[1]))

    def _ignored(self, sample: Sample) -> np.ndarray | None:
        with naming_component(self.dataset, "ignored"):
            return self.dataset.ignored(sample)

    def truth(self, index: int) -> Truth | None:
        """The truth of one test image on the evaluation grid; None without an annotation."""
        sample = self.samples[index]
        if not sample.anomalous:
            return Truth.nothing(self.grid or self.predictions.geometry[index].original, self.ignored(index))
        key = self.dataset, sample.id, self.grid
        annotation = self.annotations[sample.id] = self.cache.get_or_make(key, partial(self._read, sample), _bytes)
        return annotation.truth

    def _read(self, sample: Sample) -> Annotation:
        """The annotation of a defective image. An empty mask is no annotation, because the image has a defect."""
        with naming_component(self.dataset, "mask"):
            mask = self.dataset.mask(sample)
        if mask is None or not mask.any():
            return Annotation(None, empty=mask is not None)
        ignored = self._ignored(sample)
        if ignored is None:
            marked, vanished = mask_on_grid(mask, self.grid)
            return Annotation(Truth.of(marked), vanished)
        marked, vanished = mask_on_grid(mask & ~ignored, self.grid)
        outside = on_evaluation_grid(ignored, self.grid) & ~marked
        return Annotation(Truth.of(marked, outside), vanished, ignored=regions_within(mask, ignored))

    def facts(self) -> dict[str, float]:
        """Counts for a record: empty masks, if there are any, and, on a square grid, vanished defects.

        And figures of the probabilities of classes, where the method gives some.
        """
        found = self.annotations.values()
        vanished, empty = sum(one.vanished for one in found), sum(one.empty for one in found)
        facts = {} if self.grid is None or not found else {VANISHED: float(vanished)}
        ignored = sum(one.ignored for one in found)
        classes = self.classes()
        named = {} if classes is None else ClassReport.of(classes).facts()
        counted = {name: float(count) for name, count in ((EMPTY, empty), (IGNORED, ignored)) if count}
        return facts | counted | named

    def remarks(self) -> Iterator[str]:
        """A sentence for each fact that a user should know."""
        facts, empty = self.facts(), [name for name, one in self.annotations.items() if one.empty]
        if empty:
            yield (
                f"{len(empty)} of {len(self.annotations)} defective images have a mask that marks nothing, such as"
                f" {min(empty)}: the pixel metrics leave them out"
            )
        yield from self._ignored_defects()
        if self.grid is not None and facts.get(VANISHED):
            grid = "x".join(map(str, self.grid))
            count = int(facts[VANISHED])
            defects = "1 defect would vanish" if count == 1 else f"{count} defects would vanish"
            yield f"{defects} on {grid} pixels; the masks there mark every pixel that such a defect touches"

    def _ignored_defects(self) -> Iterator[str]:
        inside = sorted(name for name, one in self.annotations.items() if one.ignored)
        if inside:
            count = sum(one.ignored for one in self.annotations.values())
            defects = "1 defect lies" if count == 1 else f"{count} defects lie"
            yield (
                f"{defects} wholly in ignored pixels, such as in {inside[0]}: no pixel metric counts that, and image"
                " metrics still count the image as defective"
            )

    def masked_maps(self) -> Iterator[MaskedMap]:
        """Map and mask of every annotated test image."""
        return ((scores, truth.mask) for scores, truth in self.annotated_maps())

    def annotated_maps(self) -> Iterator[AnnotatedMap]:
        """Map and truth of every annotated test image."""
        return ((self.map(index), truth) for index, truth in self._annotated())

    def _annotated(self) -> Iterator[tuple[int, Truth]]:
        # Maps need it in this thread while masks need it in the readers' (see read_ahead)
        import scipy.ndimage  # noqa: F401

        count = len(self.samples)
        for index, truth in enumerate(read_ahead(self.truth, range(count), self.workers, 4 * self.workers)):
            if truth is not None:
                yield index, truth

    def annotated_batches(self) -> Iterator[AnnotatedMaps]:
        """Maps and truth in batches of one geometry, made on the device."""
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
        """The curve of all thresholds on the pixels of annotated images, computed on the CPU or on a GPU."""
        if not self.device.startswith("cuda"):
            return curve_of_annotated(self.annotated_maps)
        from adbench.engine.evaluate.device_curve import curve_on_device

        return curve_on_device(self.annotated_batches, self.device)

    def region_maps(self) -> Iterator[RegionMap]:
        """Map and regions of every annotated test image."""
        truths = read_ahead(self.region_truth, range(len(self.samples)), self.workers, 4 * self.workers)
        return ((self.map(index), truth) for index, truth in enumerate(truths) if truth is not None)

    def region_truth(self, index: int) -> RegionTruth | None:
        """The regions of one test image on the evaluation grid; None where it has no annotation."""
        sample = self.samples[index]
        if not sample.anomalous:
            truth = Truth.nothing(self.grid or self.predictions.geometry[index].original, self.ignored(index))
            return RegionTruth(truth.shape, (), truth.ignored)
        key = self.dataset, sample.id, self.grid, "regions"
        return self.cache.get_or_make(key, partial(self._read_regions, sample), _region_bytes)

    def _read_regions(self, sample: Sample) -> RegionTruth | None:
        with naming_component(self.dataset, "regions"):
            regions = self.dataset.regions(sample)
        if not regions:
            return None
        ignored = self._ignored(sample)
        shape = self.grid or regions[0].shape
        kept = [one for region in regions if (one := without_ignored(region, ignored)) is not None]
        shown = [region_on_grid(region, self.grid) for region in kept]
        outside = None if ignored is None else on_evaluation_grid(ignored, self.grid)
        return RegionTruth(shape, shown, _positions_beside(shown, outside))

    def evidence(self) -> Evidence:
        """The evidence that metrics read."""
        mapped = self.predictions.patches is not None
        told_apart = type(self.dataset).regions is not Dataset.regions
        return Evidence(
            labels=np.array([sample.anomalous for sample in self.samples]),
            scores=self.predictions.scores,
            maps=self.masked_maps if mapped else None,
            curve=self.pixel_curve if mapped else None,
            regions=self.region_maps if mapped and told_apart else None,
            specimens=self._specimens(),
            pixel_threshold=self._pixel_threshold() if mapped else None,
            classes=self.classes(),
        )

    def classes(self) -> ClassPredictions | None:
        """The predicted classes with the truth: each type of defect, or all as one; None where there are none."""
        found = self.predictions.classes
        if found is None:
            return None
        types = sorted({sample.defect for sample in self.samples if sample.anomalous})
        if found.shape[1] == 2:
            truth = [int(sample.anomalous) for sample in self.samples]
            return ClassPredictions((GOOD, types[0] if len(types) == 1 else "defective"), found, np.array(truth))
        if found.shape[1] != len(types) + 1:  # images of a type may all be copies of exemplars
            return None
        numbers = {defect: number for number, defect in enumerate(types, 1)}
        truth = [numbers[sample.defect] if sample.anomalous else 0 for sample in self.samples]
        return ClassPredictions((GOOD, *types), found, np.array(truth))

    def _pixel_threshold(self) -> float | None:
        """The mean of the pixels of normal maps, plus three deviations; None where the dataset does not ask for it."""
        normal = self.predictions.normal
        if not self.dataset.judges_marks or normal is None or normal.pixels is None:
            return None
        mean, deviation = normal.pixels
        return mean + SIGMAS * deviation

    def _specimens(self) -> list[str] | None:
        """The specimen of each image; None unless the dataset knows all of them."""
        with naming_component(self.dataset, "specimen"):
            found = [self.dataset.specimen(sample) for sample in self.samples]
        known = [name for name in found if name is not None]
        return known if known and len(known) == len(found) else None


def _positions_beside(regions: Sequence[Region], ignored: np.ndarray | None) -> np.ndarray:
    """[I] int32: the ignored pixels that are in no region."""
    if ignored is None:
        return np.zeros(0, np.int32)
    rest = ignored.copy()
    for region in regions:
        rest.ravel()[region.positions] = False
    return np.flatnonzero(rest).astype(np.int32)


def _bytes(annotation: Annotation) -> int:
    """The bytes of an annotation; this also computes the sizes of regions, in the thread that reads."""
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
        with naming_component(metric, "measure"):
            answer = metric.measure(evidence)
            require_type(metric, "measure()", answer, Measure)
            if answer.value is not None and not np.isfinite(answer.value):
                raise ContractError(
                    metric.title, f"measure() gave {answer.value}; an undefined figure is None with a reason"
                )
            value = None if answer.value is None else float(answer.value)
            results[metric.name] = MetricInfo(value=value, version=metric.version, reason=answer.reason)
    return results
