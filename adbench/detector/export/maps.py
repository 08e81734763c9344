"""Anomaly maps of patch scores as two matrix products with constant matrices."""

from __future__ import annotations

import torch
from torch import Tensor

from adbench.api.geometry import Geometry
from adbench.engine.evaluate.anomaly_map import map_matrices
from adbench.engine.plan.map_spec import MapSpec


class MapMaker:
    """Makes the maps of images of one geometry.

    Args:
        patches: height and width of the patch grid.
        geometry: the place of the prepared image in the original.
        spec: without floor and morphology.
    """

    def __init__(self, patches: tuple[int, int], geometry: Geometry, spec: MapSpec) -> None:
        found = map_matrices(patches, geometry, spec)
        self._rows, self._columns = torch.tensor(found.rows), torch.tensor(found.columns)
        self._visible = found.visible
        shown = torch.zeros(geometry.original, dtype=torch.bool)
        shown[found.visible] = True
        self._shown = None if shown.all() or not shown.any() else shown

    def __call__(self, scores: Tensor) -> Tensor:
        """[H, W] float32 of patch scores [h, w]; pixels that a crop removed have the lowest value of the others."""
        values = self._rows @ scores @ self._columns.T
        if self._shown is None:
            return values
        return torch.where(self._shown, values, values[self._visible].amin())
