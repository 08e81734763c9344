"""Corrupted images, at their original resolution, before any preprocessing."""

from __future__ import annotations

import numpy as np

from adbench.engine.images.corruption import IMAGENET_C, MOVING, Corruption, amount_at
from adbench.engine.images.moving import moved
from adbench.engine.images.photometric import CHANGES, NOTHING


def corrupted(image: np.ndarray, corruption: Corruption, content: str) -> np.ndarray:
    """A corrupted copy of an image; the same for the same content, on every machine.

    Args:
        image: [H, W, 3] RGB: uint8 (0 to 255), or float32 (0 to 1).
        corruption: what happens to it.
        content: stands for the image's content; it seeds the draw.

    Returns:
        An image of the same shape and type. A gray image stays gray.
    """
    return at_level(image, corruption.name, corruption.strength, corruption.seed(content))


def at_level(image: np.ndarray, name: str, level: float, seed: int) -> np.ndarray:
    """A copy of an image under a corruption of any level: 0 leaves the image as it is, 1 to 5 are the strengths.

    Args:
        image: [H, W, 3] RGB: uint8 (0 to 255), or float32 (0 to 1).
        name: of the corruption.
        level: from 0 to 5; between two strengths the amounts are interpolated.
        seed: of the draw.

    Returns:
        An image of the same shape and type. A gray image stays gray.
    """
    if name in IMAGENET_C:
        from adbench.engine.images.imagenet_c import as_published

        return as_published(image, name, level, seed)
    if not level:
        same: np.ndarray = image.copy()
        return same
    gray = np.array_equal(image[:, :, 0], image[:, :, 1]) and np.array_equal(image[:, :, 0], image[:, :, 2])
    seen = image[:, :, :1] if gray else image
    changed = moved(seen, name, level, seed) if name in MOVING else _changed(seen, name, level, seed)
    return np.repeat(changed, 3, axis=2) if gray else np.ascontiguousarray(changed)


def _changed(image: np.ndarray, name: str, level: float, seed: int) -> np.ndarray:
    change, amounts = CHANGES[name]
    amount = amount_at(amounts, level, NOTHING.get(name, 0.0))
    whole = image.dtype == np.uint8
    unit = image.astype(np.float32) / np.float32(255) if whole else image
    new = np.clip(change(unit, amount, np.random.default_rng(seed)), 0, 1).astype(np.float32, copy=False)
    return np.rint(new * np.float32(255)).astype(np.uint8) if whole else new


def moved_mask(mask: np.ndarray, corruption: Corruption, content: str) -> np.ndarray:
    """[H, W] bool: the mask of a corrupted image, moved as the image was.

    Args:
        mask: [H, W] bool, of the image itself.
        corruption: what happened to the image.
        content: as for the image.
    """
    if not corruption.moves:
        return mask
    return moved(mask, corruption.name, corruption.strength, corruption.seed(content))
