"""Synthetic images for the comparison of scores: flat, smooth, striped and noisy ones."""

from __future__ import annotations

import numpy as np

from adbench.detector.export.graph import Frame

SEED = 20161128


def synthetic_images(frame: Frame) -> dict[str, np.ndarray]:
    """Images of the size and type that an exported file takes, by name; the same ones each time."""
    drawn = np.random.default_rng(SEED)
    rows, columns = np.mgrid[0 : frame.height, 0 : frame.width]
    ramp = np.stack([rows / frame.height, columns / frame.width, (rows + columns) / (frame.height + frame.width)], -1)
    noise = drawn.random((frame.height, frame.width, 3))
    coarse = drawn.random((8, 8, 3))[rows * 8 // frame.height, columns * 8 // frame.width]
    unit = {
        "gray": np.full_like(ramp, 0.5),
        "ramp": ramp,
        "stripes": np.broadcast_to((columns[..., None] // 7) % 2 * 1.0, ramp.shape),
        "squares": coarse,
        "noise": noise,
        "noisy ramp": (ramp + noise / 4) / 1.25,
    }
    return {name: _typed(values, deep=frame.deep) for name, values in unit.items()}


def _typed(values: np.ndarray, *, deep: bool) -> np.ndarray:
    return values.astype(np.float32) if deep else (values * 255).round().astype(np.uint8)
