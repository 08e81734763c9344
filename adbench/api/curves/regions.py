"""Regions that count as found before all of their pixels are: the saturated per-region overlap (sPRO).

Bergmann et al., "Beyond Dents and Scratches: Logical Constraints in Unsupervised Anomaly Detection and Localization",
IJCV 2022, section 4: where a part is missing, many pixels may be marked for it, and some of them are enough. A region
has a saturation area s, and at any threshold its overlap is min(detected pixels / s, 1).

So of a region only the s pixels with the highest scores count, each 1/s, and the others count nothing, whatever is tied
with whatever: which of equal pixels are chosen makes no difference, since they are detected together. That turns sPRO
into a curve of pixels with weights, as PRO's, and it is as exact and as quick.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from adbench.api.curves.curve import Curve, curve_of_annotated
from adbench.api.curves.truth import Truth

if TYPE_CHECKING:
    from adbench.api.curves.threshold_table import AnnotatedMap


@dataclass(frozen=True)
class Region:
    """A part of an image's defect that counts alone; regions may overlap.

    Attributes:
        shape: height and width of the image.
        positions: [P] int32, its pixels in row order, ``row * width + column``; at least one.
        saturation: so many detected pixels are as good as all; from 1 to P.

    >>> Region.of(np.eye(3, dtype=bool), saturation=2).positions.tolist()
    [0, 4, 8]
    """

    shape: tuple[int, ...]
    positions: np.ndarray
    saturation: int

    @classmethod
    def of(cls, mask: np.ndarray, saturation: float | None = None) -> Region:
        """The region that a mask marks.

        Args:
            mask: [H, W] bool, not empty.
            saturation: in pixels, brought to a whole number from 1 to all of them; None for all.
        """
        positions = np.flatnonzero(mask).astype(np.int32)
        wanted = positions.size if saturation is None else int(saturation)
        return cls(mask.shape, positions, max(1, min(wanted, positions.size)))


@dataclass(frozen=True)
class SaturatedTruth(Truth):
    """The pixels of an image that count under one map: of each region as many as saturate it.

    Attributes:
        positions: the pixels that count, region after region.
        weights: [P] int32, the saturation area of the region of each.
        union: [U] int32, the pixels of all regions and ignored ones, none of which is normal.
    """

    weights: np.ndarray
    union: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        return self.weights

    @property
    def marked(self) -> np.ndarray:
        return self.union


@dataclass(frozen=True)
class RegionTruth:
    """The regions of one image.

    Attributes:
        shape: height and width of the image.
        regions: none for a normal image.
        ignored: [I] int32, the pixels that count as nothing; none of them is in a region.
    """

    shape: tuple[int, ...]
    regions: Sequence[Region]
    ignored: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))

    @cached_property
    def union(self) -> np.ndarray:
        """[U] int32, the pixels that are not normal, each once: those of all regions, and ignored ones."""
        mask = np.zeros(int(np.prod(self.shape)), dtype=bool)
        mask[self.ignored] = True
        for region in self.regions:
            mask[region.positions] = True
        return np.flatnonzero(mask).astype(np.int32)

    def under(self, scores: np.ndarray) -> SaturatedTruth:
        """The pixels that count under a map [H, W] float32."""
        chosen = [_highest(scores.ravel(), region) for region in self.regions]
        weights = [np.full(len(some), len(some), np.int32) for some in chosen]
        nothing = np.zeros(0, np.int32)
        return SaturatedTruth(
            self.shape, np.concatenate([nothing, *chosen]), np.concatenate([nothing, *weights]), self.union
        )


RegionMap: TypeAlias = tuple[np.ndarray, RegionTruth]
"""An anomaly map [H, W] and the regions of its image."""


def _highest(scores: np.ndarray, region: Region) -> np.ndarray:
    """The pixels of a region with the highest scores, as many as saturate it."""
    spare = region.positions.size - region.saturation
    if not spare:
        return region.positions
    chosen: np.ndarray = region.positions[np.argpartition(scores[region.positions], spare)[spare:]]
    return chosen


def curve_of_regions(maps: Callable[[], Iterator[RegionMap]], *, every: bool = False) -> Curve:
    """The curve of sPRO over the false positive rate: `Curve.aupro` is its area, `Curve.pro` its points.

    A false positive is a detected pixel outside of all regions, normal images included. The curve's other figures count
    only the pixels that saturate a region.

    Args:
        maps: starts a walk over the images, as for `curve_of_maps`; maps are ranked as float32.
        every: whether every corner of the curve is kept.

    Raises:
        ContractError: as for `curve_of_maps`.
    """

    def judged() -> Iterator[AnnotatedMap]:
        for scores, truth in maps():
            ranked = np.asarray(scores, dtype=np.float32)
            fits = ranked.shape == truth.shape  # else whoever takes the pair refuses it by its shapes
            yield ranked, truth.under(ranked) if fits else Truth(truth.shape, truth.union)

    return curve_of_annotated(judged, every=every)
