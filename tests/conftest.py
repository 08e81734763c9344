"""Fixtures for all tests: a small folder of parts in MVTec's layout, made on the spot."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]


def write_image(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def make_category(root: Path, name: str, *, size: int = 64, train: int = 4, good: int = 3, bad: int = 3) -> Path:
    """Gray noise; a defect is a bright square."""
    rng = np.random.default_rng(sum(map(ord, name)))
    noise = lambda: rng.integers(90, 110, (size, size, 3), dtype=np.uint8)  # noqa: E731
    for index in range(train):
        write_image(root / name / "train" / "good" / f"{index:03}.png", noise())
    for index in range(good):
        write_image(root / name / "test" / "good" / f"{index:03}.png", noise())
    for index in range(bad):
        image, mask = noise(), np.zeros((size, size), np.uint8)
        top = 8 + 8 * index
        image[top : top + 16, 16:32] = 220
        mask[top : top + 16, 16:32] = 255
        write_image(root / name / "test" / "spot" / f"{index:03}.png", image)
        write_image(root / name / "ground_truth" / "spot" / f"{index:03}_mask.png", mask)
    return root / name


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """A dataset of two categories."""
    root = tmp_path / "parts"
    make_category(root, "bolt")
    make_category(root, "nut")
    return root


@pytest.fixture
def real_data() -> Path:
    """The folder of real images, or a skip."""
    folder = Path(os.environ.get("ADBENCH_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real images at {folder}; set ADBENCH_TEST_DATA")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Hostile inputs and the tests of GPU ways are many: `scripts/check` leaves them out, `make test` runs them."""
    for item in items:
        if {"hostile", "gpu"} & set(item.path.relative_to(ROOT).parts[:2]):
            item.add_marker(pytest.mark.slow)
