"""ImageNet-C's corruptions, computed by the package imagecorruptions-imaug at the original resolution."""

from __future__ import annotations

from threading import Lock

import numpy as np

from adbench.engine.images.corruption import PACKAGE
from adbench.errors import DataError, UsageError

LEAST = 32
"""Pixels of the shorter side that the package needs."""
_ONE_AT_A_TIME = Lock()
"""The package draws from NumPy's global generator, and several threads read images."""


def as_published(image: np.ndarray, name: str, strength: float, seed: int) -> np.ndarray:
    """A corrupted copy of an image, in 8 bits a channel; the same for the same seed.

    Hendrycks and Dietterich, Benchmarking Neural Network Robustness to Common Corruptions and Perturbations, ICLR 2019.

    Args:
        image: [H, W, 3] RGB: uint8 (0 to 255), or float32 (0 to 1).
        name: of the corruption, with its prefix: ``c-fog``.
        strength: a whole number from 1 to 5.
        seed: of the draw.

    Returns:
        An image of the same shape and type.

    Raises:
        DataError: the image is smaller than the package allows.
        UsageError: the package is missing, or the strength lies between two others.
    """
    if strength not in (1, 2, 3, 4, 5):
        raise UsageError(f"corruption {name!r} has strengths 1 to 5 and none between them")
    if min(image.shape[:2]) < LEAST:
        raise DataError(
            f"an image of {image.shape[0]}x{image.shape[1]} pixels is too small for {name}: {LEAST} is least"
        )
    try:
        from imagecorruptions import corrupt
    except ImportError:
        raise UsageError(f"{name} needs {PACKAGE}; run 'pip install adbench-core[imagenet-c]'") from None
    whole = image.dtype == np.uint8
    levels = image if whole else np.rint(image * 255).astype(np.uint8)
    with _ONE_AT_A_TIME:
        before = np.random.get_state()  # noqa: NPY002  what the package draws from
        try:
            np.random.seed(seed % 2**32)  # noqa: NPY002
            name = name.removeprefix("c-").replace("-", "_")
            found = np.asarray(corrupt(np.ascontiguousarray(levels), corruption_name=name, severity=int(strength)))
        finally:
            np.random.set_state(before)  # noqa: NPY002
    shown = np.ascontiguousarray(found.astype(np.uint8))
    return shown if whole else shown.astype(np.float32) / np.float32(255)
