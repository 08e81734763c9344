"""The highest pixels of normal images' anomaly maps, which the threshold for pixels follows from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from adbench.api.features import Features, ImageScores
from adbench.engine.evaluate.anomaly_map import anomaly_map
from adbench.engine.plan.map_spec import MapSpec


class Peaks:
    """The highest pixel of each normal image's map, noted while a bank that had not seen the image scores it.

    Args:
        spec: how patch scores become a map; None for the usual way.
    """

    def __init__(self, spec: MapSpec | None) -> None:
        self._spec = spec
        self._found: list[float] = []

    def note(self, features: Features, scores: Sequence[ImageScores]) -> None:
        """Take a batch of images with their scores."""
        for geometry, one in zip(features.geometry, scores, strict=True):
            if one.patches is not None:
                self._found.append(float(anomaly_map(one.patches.numpy(), geometry, self._spec).max()))

    def of(self, count: int) -> np.ndarray | None:
        """[N] float32 for so many images; None where the method gives no maps."""
        return np.array(self._found, np.float32) if count and len(self._found) == count else None
