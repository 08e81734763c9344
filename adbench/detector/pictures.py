"""Pictures of predictions: the image, and its anomaly map over it."""

from __future__ import annotations

import numpy as np

from adbench.detector.fit.calibration import Calibration
from adbench.engine.pictures.heatmap_sheet import overlay


def heatmap(pixels: np.ndarray, scores: np.ndarray, calibration: Calibration) -> np.ndarray:
    """[H, W, 3] uint8: an image in gray, glowing where its anomaly map is high.

    Args:
        pixels: [H, W, 3], the image.
        scores: [H, W], its anomaly map.
        calibration: of the detector; decides the colours, so that its pictures can be compared.
    """
    glowing = 255 * overlay(eight_bits(pixels), scores, colour_limits(scores, calibration))
    whole: np.ndarray = glowing.round().astype(np.uint8)
    return whole


def colour_limits(scores: np.ndarray, calibration: Calibration) -> tuple[float, float]:
    """The values of a map that get the darkest and the brightest colour.

    Dark is the lower of the map's median and the lowest peak of a normal image's map; bright lies as far above the
    median of these peaks as dark lies below. Where there are no such peaks, they are the map's median and maximum.
    """
    peaks = calibration.peaks
    low, high = float(np.median(scores)), float(scores.max())
    if peaks is not None and len(peaks):
        usual = float(np.median(peaks))
        low = min(low, float(peaks.min()))
        high = usual + (usual - low)
    return (low, high) if high > low else (low, low + 1.0)


def eight_bits(pixels: np.ndarray) -> np.ndarray:
    """[H, W, 3] uint8 of an image of any depth."""
    if pixels.dtype == np.uint8:
        return pixels
    whole: np.ndarray = (np.clip(pixels, 0, 1) * 255).round().astype(np.uint8)
    return whole
