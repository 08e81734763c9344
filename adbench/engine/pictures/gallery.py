"""Small pictures of what a method got most wrong, for a board's page: each photograph beside its heatmap."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from pydantic import ValidationError

from adbench.api.dataset import Dataset, Sample
from adbench.engine.evaluate.anomaly_map import anomaly_map
from adbench.engine.pictures.heatmap_sheet import Panel, display_range, overlay, thumbnail
from adbench.engine.plan.map_spec import MapSpec
from adbench.engine.plan.protocol import Protocol, make_task
from adbench.engine.store.predictions import PREDICTIONS_FILE, Predictions, read_predictions
from adbench.engine.store.record import ResultRecord
from adbench.errors import StorageError

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

EACH = 4
"""False alarms, and as many misses."""
SIDE = 144
"""Longest side of a photograph, in pixels."""
_QUALITY = 60
_RANGE_GRID = (64, 64)
_OUTLINE = (34, 230, 255)
"""The cyan of the sheet of heatmaps, which its colours do not have."""


@dataclass(frozen=True)
class _Unit:
    """A finished run with the images it judged."""

    dataset: Dataset
    samples: Sequence[Sample]
    predictions: Predictions
    maps: Sequence[Array]
    spec: MapSpec

    def panel(self, index: int) -> Panel:
        sample, geometry = self.samples[index], self.predictions.geometry[index]
        image = self.dataset.image(sample)
        pixels = image if image.dtype == np.uint8 else (np.clip(image, 0, 1) * 255).round().astype(np.uint8)
        heat = anomaly_map(self.maps[index], geometry, self.spec, None)
        mask = self.dataset.mask(sample) if sample.anomalous else None
        score = float(self.predictions.scores[index])
        return thumbnail(Panel(pixels, heat, mask, sample.id, score, sample.anomalous))

    def limits(self) -> tuple[float, float]:
        """What is dark and what is bright, from all test images, so that pictures of one unit can be compared."""
        geometry = self.predictions.geometry
        return display_range(
            [anomaly_map(patches, geometry[i], self.spec, _RANGE_GRID) for i, patches in enumerate(self.maps)]
        )


def gallery(folder: Path, record: ResultRecord, dataset: Dataset) -> dict[str, str]:
    """Pictures of the normal images with the highest scores and of the defective ones with the lowest.

    Args:
        folder: of the run.
        record: of the run; one that failed has no pictures, nor has a method without maps, or a run without scores.
        dataset: what it was run on.

    Returns:
        By the image's id, a WebP as a `data:` address: the photograph on the left, on the right the heatmap over it,
        with the defect outlined.

    Raises:
        StorageError: the predictions cannot be read, or the data is not what they were made on.
    """
    if record.predictions is None or not (folder / PREDICTIONS_FILE).is_file():
        return {}
    predictions = read_predictions(folder, record.predictions)
    if predictions.patches is None:
        return {}
    samples, spec = _samples(folder, record, dataset)
    unit = _Unit(dataset, samples, predictions, predictions.patches, spec)
    limits = unit.limits()
    return {samples[index].id: _address(_pair(unit.panel(index), limits)) for index in _chosen(unit)}


def _samples(folder: Path, record: ResultRecord, dataset: Dataset) -> tuple[Sequence[Sample], MapSpec]:
    task = record.task
    try:
        protocol = Protocol.model_validate(task.protocol)
        spec = MapSpec.model_validate(record.recipe.spec.get("map"))
    except ValidationError as error:
        raise StorageError(f"{folder}: no usable protocol or map: {error.errors()[0]['msg']}; run it anew") from None
    found = make_task(dataset, task.category, protocol, task.seed, skip_bad=bool(task.skipped))
    if found.sha != task.samples_sha:
        raise StorageError(f"{folder}: made on other images than there are now; give the same data with --data")
    return found.test, spec


def _chosen(unit: _Unit) -> list[int]:
    ascending = [int(index) for index in np.argsort(unit.predictions.scores, kind="stable")]
    normal = [index for index in ascending if not unit.samples[index].anomalous]
    defective = [index for index in ascending if unit.samples[index].anomalous]
    return [*reversed(normal[-EACH:]), *defective[:EACH]]


def _pair(panel: Panel, limits: tuple[float, float]) -> Array:
    """[H, 2 W, 3] uint8."""
    heat = (255 * overlay(panel.image, panel.map, limits)).round().astype(np.uint8)
    if panel.mask is not None:
        heat[rim(panel.mask)] = _OUTLINE
    return np.concatenate([panel.image, heat], axis=1)


def rim(mask: Array) -> Array:
    """[H, W] bool: the pixels around a mask."""
    from PIL import Image, ImageFilter

    grown = Image.fromarray(mask.astype(np.uint8) * 255).filter(ImageFilter.MaxFilter(3))
    rim: Array = (np.asarray(grown) > 0) & ~mask
    return rim


def _address(picture: Array) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="WEBP", quality=_QUALITY, method=6)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
