"""Small parts, drawn on the spot in MVTec AD's layout: patterns with noise, of which some have a bright scratch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

SIZE, TRAIN, GOOD, BAD = 64, 20, 4, 4
CATEGORIES = ("dots", "lines")


def draw_parts(root: Path) -> Path:
    """Draw all categories into a folder, the same ones every time; the folder.

    Raises:
        OSError: the folder cannot be written.
    """
    for number, category in enumerate(CATEGORIES):
        generator = np.random.default_rng(number)
        for folder, count in (("train/good", TRAIN), ("test/good", GOOD)):
            for index in range(count):
                _write(root / category / folder / f"{index:03}.png", _pattern(category, generator))
        for index in range(BAD):
            _draw_defective(root / category, f"{index:03}", category, generator)
    return root


def _draw_defective(folder: Path, name: str, category: str, generator: np.random.Generator) -> None:
    image, mask = _pattern(category, generator), np.zeros((SIZE, SIZE), dtype=np.uint8)
    top, left = generator.integers(4, SIZE - 28, 2)
    mask[top : top + 10, left : left + 24] = 255
    image[mask > 0] = 235
    _write(folder / "test" / "scratch" / f"{name}.png", image)
    _write(folder / "ground_truth" / "scratch" / f"{name}_mask.png", mask)


def _pattern(category: str, generator: np.random.Generator) -> Any:
    """[H, W, 3] uint8: a pattern that all images of a category share, and noise of the image's own."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    waves = np.sin(rows / 4) * np.sin(columns / 4) if category == "dots" else np.sin(columns / 3)
    noise = generator.normal(0, 4, (SIZE, SIZE, 3))
    return (110 + 25 * waves[..., None] + noise).clip(0, 255).astype(np.uint8)


def _write(path: Path, pixels: Any) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
