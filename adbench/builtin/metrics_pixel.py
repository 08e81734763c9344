"""Figures of the anomaly maps: does the method show where the defect is? Pixels of all images are ranked together."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from adbench import Evidence, Measure, Metric

if TYPE_CHECKING:
    from adbench.metrics import Curve


class _PixelMetric(Metric):
    """Reads one figure off the curve of the maps' pixels."""

    level = "pixel"

    def measure(self, evidence: Evidence) -> Measure:
        curve = evidence.pixel_curve
        if curve is None:
            return Measure(None, "the method makes no anomaly maps")
        return Measure(self._figure(curve), curve.undefined)

    @staticmethod
    @abstractmethod
    def _figure(curve: Curve) -> float | None: ...


class PixelAuroc(_PixelMetric):
    """Chance that an anomalous pixel scores higher than a normal one; equal scores count one half."""

    name = "pixel-auroc"

    @staticmethod
    def _figure(curve: Curve) -> float | None:
        return curve.auroc


class PixelAp(_PixelMetric):
    """Average precision of finding the anomalous pixels, without interpolation (as in scikit-learn)."""

    name = "pixel-ap"

    @staticmethod
    def _figure(curve: Curve) -> float | None:
        return curve.average_precision


class PixelF1Max(_PixelMetric):
    """F1 of finding the anomalous pixels, at the threshold that is best on this test set: an upper bound."""

    name = "pixel-f1-max"

    @staticmethod
    def _figure(curve: Curve) -> float | None:
        return curve.f1_max


class PixelSpro05(_PixelMetric):
    """Mean saturated overlap with the defects that the dataset tells apart, up to a false positive rate of 0.05.

    As for MVTec LOCO AD (Bergmann et al., IJCV 2022).
    """

    name = "pixel-spro-05"
    needs = frozenset({"regions"})

    def measure(self, evidence: Evidence) -> Measure:
        curve = evidence.region_curve
        if curve is None:
            return Measure(None, "the method makes no anomaly maps, or the dataset does not tell defects apart")
        return Measure(self._figure(curve), curve.undefined)

    @staticmethod
    def _figure(curve: Curve) -> float | None:
        return curve.aupro(0.05)


class PixelSegF1(Metric):
    """F1 of the marked pixels of all images together, at a threshold from maps of normal images alone: SegF1.

    As for MVTec AD 2 (Heckler-Kram et al., arXiv 2503.21622, section 4): 2 TP / (2 TP + FP + FN). Pixels are marked
    above the mean plus three standard deviations of the pixels of normal images that the bank had not seen.
    """

    name = "pixel-seg-f1"
    level = "pixel"
    needs = frozenset({"pixel_threshold"})

    def measure(self, evidence: Evidence) -> Measure:
        if evidence.maps is None or evidence.pixel_threshold is None:
            return Measure(None, "the method makes no anomaly maps, or there is no threshold on pixels")
        hits = marked = defective = 0
        for scores, mask in evidence.maps():
            found = scores > evidence.pixel_threshold
            hits += int((found & mask).sum())
            marked, defective = marked + int(found.sum()), defective + int(mask.sum())
        if not defective:
            return Measure(None, "the test set has no anomalous pixel")
        return Measure(2 * hits / (marked + defective))


class PixelAupro30(_PixelMetric):
    """Mean overlap with the defect regions, small or large, up to a false positive rate of 0.3 (as for MVTec AD)."""

    name = "pixel-aupro-30"

    @staticmethod
    def _figure(curve: Curve) -> float | None:
        return curve.aupro(0.3)


class PixelAupro05(_PixelMetric):
    """Mean overlap with the defect regions, small or large, up to a false positive rate of 0.05 (as for MVTec AD 2)."""

    name = "pixel-aupro-05"

    @staticmethod
    def _figure(curve: Curve) -> float | None:
        return curve.aupro(0.05)
