"""Pictures of nothing: textures that differ from image to image, and squares that do not belong there."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

WEAVES = 4
FEW = 100
"""Processes take longer to start than fewer files than these to draw."""


def texture(side: int, weave: int) -> np.ndarray:
    """[side, side, 3] uint8: waves of a few lengths and directions, the same for every call."""
    rng = np.random.default_rng(weave)
    along = np.arange(side, dtype=np.float32)
    total = np.zeros((side, side, 3), np.float32)
    for _ in range(6):
        down, across = rng.uniform(0.02, 0.6, 2)
        shift = rng.uniform(0, 6.28, 3)
        for colour in range(3):
            wave = np.sin(along * down + shift[colour])[:, None] * np.cos(along * across + shift[colour])
            total[:, :, colour] += wave.astype(np.float32)
    return (128 + 18 * total).clip(0, 255).astype(np.uint8)


def picture(weaves: list[np.ndarray], side: int, number: int) -> np.ndarray:
    """[side, side, 3] uint8: a piece of one of the textures, with grain of its own."""
    rng = np.random.default_rng(number)
    weave = weaves[number % len(weaves)]
    top, left = rng.integers(0, len(weave) - side + 1, 2)
    piece = weave[top : top + side, left : left + side].astype(np.int16)
    grain = rng.integers(-4, 5, (side, side, 1), dtype=np.int8)
    return (piece + grain).clip(0, 255).astype(np.uint8)


def flawed(image: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """The image with a bright square, and the mask [H, W] uint8 of it."""
    side = len(image)
    edge = max(2, side // 12)
    top, left = np.random.default_rng(number).integers(0, side - edge, 2)
    mask = np.zeros((side, side), np.uint8)
    mask[top : top + edge, left : left + edge] = 255
    return np.where(mask[:, :, None] > 0, 230, image).astype(np.uint8), mask


def draw(root: Path, category: str, train: int, test: int, side: int) -> None:
    """A category in MVTec's layout; every second test image has a square. All processors draw."""
    jobs = [(root / category / "train/good", number, side, False) for number in range(train)]
    for number in range(test):
        kind = ("good", "square")[number % 2]
        jobs.append((root / category / "test" / kind, train + number, side, kind != "good"))
    for folder in {job[0] for job in jobs}:
        folder.mkdir(parents=True, exist_ok=True)
    (root / category / "ground_truth/square").mkdir(parents=True, exist_ok=True)
    if len(jobs) < FEW:
        _draw_all(jobs)
        return
    count = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(count, get_context("forkserver")) as pool:
        list(pool.map(_draw_all, [jobs[start::count] for start in range(count)]))


def _draw_all(jobs: list[tuple[Path, int, int, bool]]) -> None:
    weaves = [texture(jobs[0][2] + 256, weave) for weave in range(WEAVES)] if jobs else []
    for folder, number, side, flaw in jobs:
        salt = number + 100_000 * sum(map(ord, folder.parts[-3]))  # no two categories have an image in common
        image = picture(weaves, side, salt)
        if flaw:
            image, mask = flawed(image, salt)
            _write(folder.parents[1] / "ground_truth" / folder.name / f"{number:05}_mask.png", mask)
        _write(folder / f"{number:05}.png", image)


def _write(path: Path, pixels: np.ndarray) -> None:
    from imagecodecs import png_encode

    path.write_bytes(png_encode(pixels, level=1))
