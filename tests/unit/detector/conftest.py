"""Detectors of toy parts, which learn in a moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adbench.detector.detector import Detector

TOYS: dict[str, Any] = {"backbone": "toy-pixels", "scorer": "toy-nearest"}
QUICK: dict[str, Any] = {"cache": None, "runtime": "torch", "device": "cpu"}


def _noise(count: int, side: int = 32, seed: int = 0) -> list[np.ndarray]:
    """Normal images."""
    rng = np.random.default_rng(seed)
    return [rng.integers(90, 110, (side, side, 3), dtype=np.uint8) for _ in range(count)]


def _spotted(side: int = 32) -> np.ndarray:
    """A defective image."""
    image = _noise(1, side, seed=99)[0]
    image[8:20, 8:20] = 230
    return image


@pytest.fixture
def noise() -> Callable[..., list[np.ndarray]]:
    """Makes normal images: how many, of which side, by which seed."""
    return _noise


@pytest.fixture
def spotted() -> np.ndarray:
    """A defective image."""
    return _spotted()


@pytest.fixture
def toys() -> dict[str, Any]:
    """Options of a detector that learns in a moment."""
    return {**TOYS, **QUICK}


@pytest.fixture
def quick() -> dict[str, Any]:
    """Options with which a detector is loaded in a moment."""
    return QUICK


@pytest.fixture(scope="session")
def toy_detector() -> Detector:
    """Learned from 24 images; no test may change it."""
    return Detector(**TOYS, **QUICK).fit(_noise(24), threshold="conformal:alpha=0.1")


@pytest.fixture
def saved(toy_detector: Detector, tmp_path: Path) -> Path:
    """The file of the toy detector."""
    return toy_detector.save(tmp_path / "toy.adbench")
