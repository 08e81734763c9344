"""Figures of the image scores: does the method tell a defective part from a good one?"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from adbench import Evidence, Measure, Metric

if TYPE_CHECKING:
    from adbench.metrics import Curve


class _ImageMetric(Metric):
    """Reads one figure off the curve of the image scores."""

    level = "image"

    def measure(self, evidence: Evidence) -> Measure:
        curve = evidence.image_curve
        return Measure(self._figure(curve), curve.undefined)

    @staticmethod
    @abstractmethod
    def _figure(curve: Curve) -> float | None: ...


class ImageAuroc(_ImageMetric):
    """Chance that an anomalous image scores higher than a normal one; equal scores count one half."""

    name = "image-auroc"

    @staticmethod
    def _figure(curve: Curve) -> float | None:
        return curve.auroc


class SampleAuroc(Metric):
    """Chance that a defective specimen scores higher than a good one; its score is the highest of its views.

    Real-IAD's S-AUROC (Wang et al., CVPR 2024): a specimen is defective if any of its views shows a defect.
    """

    name = "sample-auroc"
    level = "image"
    needs = frozenset({"specimens"})

    def measure(self, evidence: Evidence) -> Measure:
        curve = evidence.specimen_curve
        if curve is None:
            return Measure(None, "the dataset does not tell which images show the same specimen")
        return Measure(curve.auroc, curve.undefined)


class ImageAp(_ImageMetric):
    """Average precision of finding the anomalous images, without interpolation (as in scikit-learn)."""

    name = "image-ap"

    @staticmethod
    def _figure(curve: Curve) -> float | None:
        return curve.average_precision


class ImageF1Max(_ImageMetric):
    """F1 of finding the anomalous images, at the threshold that is best on this test set: an upper bound."""

    name = "image-f1-max"

    @staticmethod
    def _figure(curve: Curve) -> float | None:
        return curve.f1_max
