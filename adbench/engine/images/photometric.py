"""Corruptions by light, sensor and file: pixels change their values and keep their places.

Images are [H, W, C] float32 from 0 to 1, with one channel for gray. Results may leave that range.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import numpy as np

Change = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]
"""Changes an image by an amount; a generator draws directions, signs and noise."""


def brightness(image: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """The value of HSV, raised or lowered: ImageNet-C's brightness, in a drawn direction."""
    value = image.max(axis=2, keepdims=True)
    new = np.clip(value + np.float32(_sign(rng) * amount), 0, 1)
    scaled = image * (new / np.maximum(value, np.float32(1e-6)))
    raised: np.ndarray = np.where(value > 0, scaled, new)
    return raised


def contrast(image: np.ndarray, amount: float, _: np.random.Generator) -> np.ndarray:
    """Distances from the mean of each channel, multiplied by an amount below 1: ImageNet-C's contrast."""
    mean = image.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
    flat: np.ndarray = (image - mean) * np.float32(amount) + mean
    return flat


def gamma(image: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """The power of a wrong gamma: the amount, or one over it."""
    bent: np.ndarray = image ** np.float32(amount if _sign(rng) > 0 else 1 / amount)
    return bent


def side_light(image: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """Light from one side: 1 + amount at the border nearest to the lamp, 1 - amount at the opposite one."""
    angle = rng.uniform(0, 2 * np.pi)
    rows, columns = (np.linspace(-1, 1, side, dtype=np.float32) for side in image.shape[:2])
    way = np.float32(np.sin(angle)) * rows[:, None] + np.float32(np.cos(angle)) * columns[None, :]
    way /= max(float(np.abs(way).max()), 1e-6)
    lit: np.ndarray = image * (1 + np.float32(amount) * way)[:, :, None]
    return lit


def noise(image: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """Normal noise of a sensor, with this standard deviation: ImageNet-C's Gaussian noise."""
    noisy: np.ndarray = image + np.float32(amount) * rng.standard_normal(image.shape, np.float32)
    return noisy


def jpeg(image: np.ndarray, amount: float, _: np.random.Generator) -> np.ndarray:
    """A JPEG of this quality."""
    from PIL import Image

    levels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(levels[:, :, 0] if levels.shape[2] == 1 else levels).save(file, "JPEG", quality=int(amount))
    with Image.open(file) as opened:
        read: np.ndarray = np.asarray(opened, np.float32) / np.float32(255)
    return read.reshape(image.shape)


def defocus(image: np.ndarray, amount: float, _: np.random.Generator) -> np.ndarray:
    """Blur by a disk of this radius in 224ths of the shorter side: ImageNet-C's defocus, for images of any size."""
    return _filtered(image, _disk(_scaled(image, amount)))


def motion_blur(image: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """Blur along a drawn direction, normal with this deviation in 224ths of the shorter side, cut at two of them.

    ImageNet-C's motion blur is one-sided, which moves the object away from its mask; this one is symmetric.
    """
    return _filtered(image, _line(_scaled(image, amount), rng.uniform(0, np.pi)))


CHANGES: Mapping[str, tuple[Change, tuple[float, ...]]] = {
    "brightness": (brightness, (0.1, 0.2, 0.3, 0.4, 0.5)),
    "contrast": (contrast, (0.4, 0.3, 0.2, 0.1, 0.05)),
    "gamma": (gamma, (1.2, 1.4, 1.7, 2.1, 2.6)),
    "side-light": (side_light, (0.1, 0.2, 0.3, 0.4, 0.5)),
    "defocus": (defocus, (3, 4, 6, 8, 10)),
    "motion-blur": (motion_blur, (3, 5, 8, 12, 15)),
    "noise": (noise, (0.08, 0.12, 0.18, 0.26, 0.38)),
    "jpeg": (jpeg, (25, 18, 15, 10, 7)),
}
"""Each corruption with its amounts for strengths 1 to 5. Those of all but gamma and side-light are ImageNet-C's
(Hendrycks and Dietterich, Benchmarking Neural Network Robustness to Common Corruptions, ICLR 2019, published code)."""

NOTHING: Mapping[str, float] = {"contrast": 1.0, "gamma": 1.0, "jpeg": 100.0}
"""The amounts that leave an image as it is, or nearly so; for the other corruptions that is 0."""

_OF_IMAGENET = 224
"""The side of the images that ImageNet-C's lengths are for."""


def _sign(rng: np.random.Generator) -> int:
    return 1 if rng.random() < 0.5 else -1


def _scaled(image: np.ndarray, length: float) -> float:
    height, width = image.shape[:2]
    return float(length * min(height, width) / _OF_IMAGENET)


def _disk(radius: float) -> np.ndarray:
    """A disk of ones over its sum, with smooth edges: each pixel counts by the share that the disk covers."""
    reach, fine = int(np.ceil(radius)), 8
    steps = (np.arange((2 * reach + 1) * fine) + 0.5) / fine - reach - 0.5
    inside = (steps[:, None] ** 2 + steps[None, :] ** 2 <= radius**2).astype(np.float32)
    covered = inside.reshape(2 * reach + 1, fine, 2 * reach + 1, fine).mean(axis=(1, 3))
    return _normalised(covered)


def _line(deviation: float, angle: float) -> np.ndarray:
    """Normal weights along a line through the middle, spread over the four nearest pixels."""
    steps = np.linspace(-2 * deviation, 2 * deviation, max(3, 8 * int(np.ceil(deviation)) + 1))
    reach = int(np.ceil(2 * deviation)) + 1
    weights = np.exp(-((steps / max(deviation, 1e-6)) ** 2) / 2)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    rows, columns = reach + steps * np.sin(angle), reach + steps * np.cos(angle)
    for down in (0, 1):
        for right in (0, 1):
            top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
            near = np.abs(1 - down - (rows - top)) * np.abs(1 - right - (columns - left))
            np.add.at(kernel, (np.minimum(top + down, 2 * reach), np.minimum(left + right, 2 * reach)), weights * near)
    return _normalised(kernel)


def _normalised(kernel: np.ndarray) -> np.ndarray:
    total = float(kernel.sum())
    if total > 0:
        weights: np.ndarray = kernel / np.float32(total)
        return weights
    only = np.zeros_like(kernel)
    only[tuple(side // 2 for side in kernel.shape)] = 1
    return only


def _filtered(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """[H, W, C] convolved with a kernel; the image goes on beyond its borders as in a mirror."""
    from scipy import fft

    reach = kernel.shape[0] // 2
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="symmetric")
    shape = [fft.next_fast_len(side + kernel.shape[0] - 1, real=True) for side in padded.shape[:2]]
    spectrum = fft.rfft2(padded, shape, axes=(0, 1)) * fft.rfft2(kernel, shape)[:, :, None]
    height, width = image.shape[:2]
    found: np.ndarray = fft.irfft2(spectrum, shape, axes=(0, 1))[2 * reach :, 2 * reach :][:height, :width]
    return found
