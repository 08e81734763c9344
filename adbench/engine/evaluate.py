"""Predictions and truth meet here, and only here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from adbench.api.dataset import Dataset, Sample
from adbench.api.metric import Evidence, Metric
from adbench.engine.contract import blame
from adbench.engine.geometry import MapSpec, anomaly_map, mask_on_grid
from adbench.engine.predictions import Predictions
from adbench.engine.record import MetricInfo
from adbench.errors import ContractError, DataError

if TYPE_CHECKING:
    from adbench.api.metric import MaskedMap


@dataclass(frozen=True)
class Judge:
    """Joins one category's predictions with its truth.

    Attributes:
        dataset, samples: the test images, in the order of the predictions.
        predictions: what the method said.
        spec: how patch scores become an anomaly map.
        grid: the evaluation grid, or None for each image's own.
    """

    dataset: Dataset
    samples: Sequence[Sample]
    predictions: Predictions
    spec: MapSpec
    grid: tuple[int, int] | None

    def __post_init__(self) -> None:
        if tuple(sample.id for sample in self.samples) != self.predictions.ids:
            raise DataError("the predictions are of other images than the dataset's; give the data they were made on")

    def map(self, index: int) -> np.ndarray:
        """[H, W] float32: the anomaly map of one test image on the evaluation grid."""
        patches = self.predictions.patches
        if patches is None:
            raise DataError("this method gives no anomaly map")
        return anomaly_map(patches[index], self.predictions.geometry[index], self.spec, self.grid)

    def mask(self, index: int) -> np.ndarray | None:
        """[H, W] bool: the truth of one test image on the evaluation grid; None where it has no annotation."""
        with blame(self.dataset, "mask"):
            mask = self.dataset.mask(self.samples[index])
        return None if mask is None else mask_on_grid(mask, self.grid)

    def masked_maps(self) -> Iterator[MaskedMap]:
        """Map and mask of every annotated test image."""
        for index in range(len(self.samples)):
            mask = self.mask(index)
            if mask is not None:
                yield self.map(index), mask

    def evidence(self) -> Evidence:
        """What metrics read."""
        return Evidence(
            labels=np.array([sample.anomalous for sample in self.samples]),
            scores=self.predictions.scores,
            maps=None if self.predictions.patches is None else self.masked_maps,
        )


def measure(metrics: Iterable[Metric], evidence: Evidence) -> dict[str, MetricInfo]:
    """Every metric's figure, by name.

    Raises:
        ContractError: a metric gave NaN or infinity instead of None with a reason.
    """
    results = {}
    for metric in metrics:
        with blame(metric, "measure"):
            answer = metric.measure(evidence)
            if answer.value is not None and not np.isfinite(answer.value):
                raise ContractError(
                    metric.title, f"measure() gave {answer.value}; an undefined figure is None with a reason"
                )
            value = None if answer.value is None else float(answer.value)
            results[metric.name] = MetricInfo(value=value, version=metric.version, reason=answer.reason)
    return results
