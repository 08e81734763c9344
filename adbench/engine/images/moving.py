"""Corruptions that move the object in front of the camera: images and masks move alike, borders continue as mirrors."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from adbench.engine.images.corruption import amount_at

MOST_SHIFT = (0.008, 0.016, 0.024, 0.032, 0.04)
"""Shifts in shares of the shorter side, for strengths 1 to 5."""
MOST_TURN = (1.0, 2.0, 3.0, 4.0, 5.0)
"""Rotations in degrees, for strengths 1 to 5."""


def moved(pixels: np.ndarray, name: str, level: float, seed: int) -> np.ndarray:
    """An image or a mask, shifted or rotated. Masks keep their values: each pixel takes the nearest one.

    Args:
        pixels: [H, W, C] uint8 or float32, an image; or [H, W] bool, a mask.
        name: of the corruption, ``shift`` or ``rotation``.
        level: its strength, above 0 and at most 5.
        seed: of the draw; image and mask of one seed move alike.
    """
    move, amounts = _MOVES[name]
    return move(pixels, amount_at(amounts, level), np.random.default_rng(seed))


def _shift(pixels: np.ndarray, most: float, rng: np.random.Generator) -> np.ndarray:
    """Shift by whole pixels in a drawn direction."""
    angle, length = rng.uniform(0, 2 * np.pi), most * min(pixels.shape[:2])
    rows, columns = (
        _mirrored(np.arange(side) - int(length * share), side)
        for side, share in zip(pixels.shape[:2], (np.sin(angle), np.cos(angle)), strict=True)
    )
    return np.ascontiguousarray(pixels[rows][:, columns])


def _mirrored(places: np.ndarray, side: int) -> np.ndarray:
    """Places brought into 0 to side - 1: what is beyond a border is what is as far on this side of it."""
    around = places % (2 * side)
    found: np.ndarray = np.minimum(around, 2 * side - 1 - around)
    return found


def _rotation(pixels: np.ndarray, most: float, rng: np.random.Generator) -> np.ndarray:
    """Rotate around the middle, in a drawn direction."""
    degrees = most * (1 if rng.random() < 0.5 else -1)
    margin = int(np.ceil(np.hypot(*pixels.shape[:2]) / 2 * np.sin(np.radians(most)))) + 2
    rows, columns = (_mirrored(np.arange(-margin, side + margin), side) for side in pixels.shape[:2])
    turned = _turned(pixels[rows][:, columns], degrees)
    return np.ascontiguousarray(turned[margin:-margin, margin:-margin])


def _turned(pixels: np.ndarray, degrees: float) -> np.ndarray:
    from PIL import Image

    if pixels.ndim == 2:
        picture = Image.fromarray(pixels.astype(np.uint8))
        return np.asarray(picture.rotate(degrees, Image.Resampling.NEAREST)).astype(bool)
    channels = (
        Image.fromarray(np.ascontiguousarray(pixels[:, :, channel])).rotate(degrees, Image.Resampling.BILINEAR)
        for channel in range(pixels.shape[2])
    )
    return np.dstack([np.asarray(channel) for channel in channels])


_Move = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]
_MOVES: Mapping[str, tuple[_Move, tuple[float, ...]]] = {
    "shift": (_shift, MOST_SHIFT),
    "rotation": (_rotation, MOST_TURN),
}
"""Each corruption that moves the object, with its amounts for strengths 1 to 5."""
