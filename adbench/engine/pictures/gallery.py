"""Small pictures of what a method got most wrong, for a board's page: photographs, and heat to lay over them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from pydantic import ValidationError

from adbench.api.dataset import Dataset, Sample
from adbench.engine.evaluate.anomaly_map import anomaly_map
from adbench.engine.evaluate.ignoring import lowest_where
from adbench.engine.pictures.heatmap_sheet import Panel, display_range, glow, thumbnail
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
HEAT_SIDE = 32
"""Sides of a heat in pixels: maps are smooth, and a page enlarges them."""
_QUALITY = 60
_HEAT_QUALITY = {"quality": 40, "alpha_quality": 20}
_RANGE_GRID = (64, 64)


@dataclass(frozen=True)
class _RunImages:
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
        heat = lowest_where(anomaly_map(self.maps[index], geometry, self.spec, None), self.dataset.ignored(sample))
        mask = self.dataset.mask(sample) if sample.anomalous else None
        score = float(self.predictions.scores[index])
        return thumbnail(Panel(pixels, heat, mask, sample.id, score, sample.anomalous))

    def limits(self) -> tuple[float, float]:
        """What is dark and what is bright, from all test images, so that pictures of one unit can be compared."""
        geometry = self.predictions.geometry
        return display_range(
            [anomaly_map(patches, geometry[i], self.spec, _RANGE_GRID) for i, patches in enumerate(self.maps)]
        )


def gallery(folder: Path, record: ResultRecord, dataset: Dataset) -> dict[str, tuple[bytes, bytes, str]]:
    """Pictures of the normal images with the highest scores and of the defective ones with the lowest.

    Args:
        folder: of the run.
        record: of the run; one that failed has no pictures, nor has a method without maps, or a run without scores.
        dataset: what it was run on.

    Returns:
        By the image's id, the photograph as WebP, the heat as WebP with transparency, to be laid over the photograph
        in gray, and the outline of the defect as an SVG path on a square of 1000, empty without a defect.

    Raises:
        StorageError: the predictions cannot be read, or the data is not what they were made on.
    """
    if record.predictions is None or not (folder / PREDICTIONS_FILE).is_file():
        return {}
    predictions = read_predictions(folder, record.predictions)
    if predictions.patches is None:
        return {}
    samples, spec = _samples(folder, record, dataset)
    unit = _RunImages(dataset, samples, predictions, predictions.patches, spec)
    limits = unit.limits()
    return {samples[index].id: _layers(unit.panel(index), limits) for index in _chosen(unit)}


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


def _chosen(unit: _RunImages) -> list[int]:
    ascending = [int(index) for index in np.argsort(unit.predictions.scores, kind="stable")]
    normal = [index for index in ascending if not unit.samples[index].anomalous]
    defective = [index for index in ascending if unit.samples[index].anomalous]
    return [*reversed(normal[-EACH:]), *defective[:EACH]]


def _layers(panel: Panel, limits: tuple[float, float]) -> tuple[bytes, bytes, str]:
    low, high = limits
    level = np.clip((panel.map.astype(np.float64) - low) / (high - low), 0, 1)
    return _webp(panel.image, quality=_QUALITY), heat_layer(level), "" if panel.mask is None else outline(panel.mask)


def heat_layer(level: Array) -> bytes:
    """A small WebP with transparency.

    Args:
        level: [H, W] from 0, which is clear, to 1.
    """
    from PIL import Image

    small = Image.fromarray(level.astype(np.float32)).resize((HEAT_SIDE, HEAT_SIDE), Image.Resampling.BILINEAR)
    colours, opacity = glow(np.clip(np.asarray(small), 0, 1))
    return _webp((255 * np.concatenate([colours, opacity], axis=2)).round().astype(np.uint8), **_HEAT_QUALITY)


def outline(mask: Array) -> str:
    """The line around each region of a mask [H, W] bool, as an SVG path on a square of 1000."""
    from skimage import measure

    library: Any = measure  # it has types for some functions only
    scale = 1000 / np.array(mask.shape)
    found = library.find_contours(np.pad(mask, 1).astype(np.uint8), 0.5)
    lines = [library.approximate_polygon(line, 0.5) for line in found]
    return " ".join(_path(np.clip((line - 0.5) * scale, 0, 1000)) for line in lines)


def _path(line: Array) -> str:
    """A closed line through points [N, 2] of row and column."""
    points = [f"{round(x)} {round(y)}" for y, x in line]
    return f"M{' L'.join(points)} Z"


def _webp(picture: Array, **quality: int) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="WEBP", method=6, **quality)
    return file.getvalue()
