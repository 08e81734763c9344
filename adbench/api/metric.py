"""Metrics: they read evidence, which joins truth and predictions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from adbench.api.component import Component

if TYPE_CHECKING:
    import numpy as np

    from adbench.api.curves.classes import ClassPredictions
    from adbench.api.curves.curve import Curve
    from adbench.api.curves.regions import RegionMap
    from adbench.api.curves.truth import MaskedMap


@dataclass(frozen=True)
class Measure:
    """A metric's answer.

    Attributes:
        value: the figure, or None where the metric is undefined.
        reason: why it is undefined.
    """

    value: float | None
    reason: str = ""


@dataclass(frozen=True)
class Evidence:
    """Truth and predictions of one category's test set, joined.

    Attributes:
        labels: [N] bool, True for an anomalous image.
        scores: [N] float32 image scores.
        maps: called as often as wanted, starts a walk over the images: anomaly map [H, W] float32 and mask [H, W] bool
            on the evaluation grid. None for methods without a map. Images without an annotation are left out.
        curve: makes the curve of those maps, where there is a quicker way than to walk over `maps`; else None.
        regions: starts a walk over the same images: anomaly map [H, W] float32 and the regions of its defect. None
            where the dataset does not say which parts of a defect count alone, or there are no maps.
        specimens: [N] the specimen that each image is a view of; None where the dataset knows none.
        pixel_threshold: pixels of maps above it are marked, from maps of normal images alone; None where the dataset
            does not ask for that, or there are no such maps.
        classes: predicted probabilities of the types of defects, and the truth; None where the method gives none.
    """

    labels: np.ndarray
    scores: np.ndarray
    maps: Callable[[], Iterator[MaskedMap]] | None = None
    curve: Callable[[], Curve] | None = None
    regions: Callable[[], Iterator[RegionMap]] | None = None
    specimens: Sequence[str] | None = None
    pixel_threshold: float | None = None
    classes: ClassPredictions | None = None

    @cached_property
    def image_curve(self) -> Curve:
        """All thresholds on the image scores, made once and shared by the image metrics."""
        from adbench.api.curves.curve import curve_of_scores

        return curve_of_scores(self.labels, self.scores)

    @cached_property
    def specimen_curve(self) -> Curve | None:
        """All thresholds on the scores of specimens, each the highest of its views; None where no views are known.

        A specimen is anomalous if any of its views is.
        """
        from adbench.api.curves.curve import curve_of_scores

        if self.specimens is None:
            return None
        import numpy as np

        names, places = np.unique(np.asarray(self.specimens, object).astype(str), return_inverse=True)
        scores, labels = np.full(len(names), -np.inf, np.float32), np.zeros(len(names), bool)
        np.maximum.at(scores, places, self.scores)
        np.logical_or.at(labels, places, self.labels)
        return curve_of_scores(labels, scores)

    @cached_property
    def pixel_curve(self) -> Curve | None:
        """All thresholds on the maps' pixels, made once and shared by the pixel metrics; None without maps."""
        from adbench.api.curves.curve import curve_of_maps

        if self.maps is None:
            return None
        return curve_of_maps(self.maps) if self.curve is None else self.curve()

    @cached_property
    def region_curve(self) -> Curve | None:
        """All thresholds on the saturated overlap with the regions; None without maps or regions."""
        from adbench.api.curves.regions import curve_of_regions

        return None if self.maps is None or self.regions is None else curve_of_regions(self.regions)


class Metric(Component):
    """One figure for one category's test set. Never 0 or NaN for something undefined: `Measure(None, reason)`.

    Attributes:
        level: ``"image"`` or ``"pixel"``.
        needs: the optional fields of `Evidence` that the metric reads; without them the figure is undefined.
    """

    kind: ClassVar[str] = "metric"
    level: ClassVar[str]

    @abstractmethod
    def measure(self, evidence: Evidence) -> Measure:
        """The figure. Raw scores are ranked: nothing is clamped or rescaled first."""
