"""What an aggregator is given: the scores of all images, and the way to their maps where it reads these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from adbench.api.features import ImageScores
from adbench.api.geometry import Geometry
from adbench.api.stages import Aggregator
from adbench.engine.plan.map_spec import MapSpec
from adbench.engine.store.lazy_sequence import LazySequence

if TYPE_CHECKING:
    from torch import Tensor


def aggregable(
    images: Sequence[ImageScores], aggregator: Aggregator, spec: MapSpec, *, dropped: bool
) -> Sequence[ImageScores]:
    """The images as an aggregator sees them, each made when it is asked for.

    Args:
        images: of the whole test set.
        aggregator: decides whether there are maps.
        spec: how patch scores become a map.
        dropped: whether patches outside the object are left out, as ignored ones always are.
    """

    def read(place: int) -> ImageScores:
        image = images[place]
        if aggregator.reads == "map" and image.size is not None:
            image = replace(image, to_map=partial(_map_on_prepared, size=image.size, spec=spec))
        return image.of_object() if dropped and image.foreground is not None else image.looked_at()

    return LazySequence(range(len(images)), read)


def _map_on_prepared(patches: Tensor, size: tuple[int, int], spec: MapSpec) -> Tensor:
    """[H0, W0] float32 of patch scores [H, W]."""
    import torch

    from adbench.engine.evaluate.anomaly_map import anomaly_map

    return torch.from_numpy(anomaly_map(patches.numpy(), Geometry.whole(*size), spec))
