"""Corrupted images, at their original resolution, before any preprocessing."""

from __future__ import annotations

import numpy as np

from adbench.engine.images.corruption import Corruption
from adbench.engine.images.moving import moved
from adbench.engine.images.photometric import CHANGES


def corrupted(image: np.ndarray, corruption: Corruption, content: str) -> np.ndarray:
    """A corrupted copy of an image; the same for the same content, on every machine.

    Args:
        image: [H, W, 3] RGB: uint8 (0 to 255), or float32 (0 to 1).
        corruption: what happens to it.
        content: stands for the image's content; it seeds the draw.

    Returns:
        An image of the same shape and type. A gray image stays gray.
    """
    gray = np.array_equal(image[:, :, 0], image[:, :, 1]) and np.array_equal(image[:, :, 0], image[:, :, 2])
    seen = image[:, :, :1] if gray else image
    changed = moved(seen, corruption, content) if corruption.moves else _changed(seen, corruption, content)
    return np.repeat(changed, 3, axis=2) if gray else np.ascontiguousarray(changed)


def _changed(image: np.ndarray, corruption: Corruption, content: str) -> np.ndarray:
    change, amounts = CHANGES[corruption.name]
    whole = image.dtype == np.uint8
    unit = image.astype(np.float32) / np.float32(255) if whole else image
    rng = np.random.default_rng(corruption.seed(content))
    new = np.clip(change(unit, amounts[corruption.strength - 1], rng), 0, 1).astype(np.float32, copy=False)
    return np.rint(new * np.float32(255)).astype(np.uint8) if whole else new


def moved_mask(mask: np.ndarray, corruption: Corruption, content: str) -> np.ndarray:
    """[H, W] bool: the mask of a corrupted image, moved as the image was.

    Args:
        mask: [H, W] bool, of the image itself.
        corruption: what happened to the image.
        content: as for the image.
    """
    return moved(mask, corruption, content) if corruption.moves else mask
