"""An embedded dataset: real photographs with planted defects, so that everything can be tried without a download.

The photographs of brick, grass and gravel are CC0 and ship inside scikit-image's wheel. Training tiles are cut from the
left half of a photograph and test tiles from the right half, so that they never share a pixel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from adbench import GOOD, DataError, Dataset, Sample, Split, UnknownName
from adbench.builtin.images.reading import read_image
from adbench.builtin.planting import DEFECTS, Dice, plant

if TYPE_CHECKING:
    import numpy as np

TILE = 128
"""Height and width of a tile in pixels; the photographs have 512."""

_PHOTO = 512
_TRAIN, _GOOD, _EACH = 24, 12, 4
"""Training tiles, good test tiles, and test tiles with each kind of defect, in each category."""

_FOREIGN = {"brick": "gravel", "grass": "brick", "gravel": "grass"}
"""Which other material a foreign patch is made of."""


class Demo(Dataset):
    """Brick, grass and gravel with five kinds of planted defects; deterministic to the bit on every machine."""

    name = "demo"
    may_be_shown = True

    def categories(self) -> Sequence[str]:
        return sorted(_FOREIGN)

    def split(self, category: str) -> Split:
        if category not in _FOREIGN:
            raise UnknownName("category", category, _FOREIGN, f"of {self.title}")
        counts = {GOOD: _GOOD} | dict.fromkeys(DEFECTS, _EACH)
        return Split(
            train=_samples(f"{category}/train", GOOD, _TRAIN),
            test=tuple(
                sample for defect in sorted(counts) for sample in _samples(f"{category}/test", defect, counts[defect])
            ),
        )

    def image(self, sample: Sample) -> np.ndarray:
        import numpy as np

        return np.repeat(_tile(sample)[0][:, :, None], 3, axis=2)

    def mask(self, sample: Sample) -> np.ndarray:
        mask: np.ndarray = _tile(sample)[1].copy()
        return mask

    def digest(self, sample: Sample) -> str:
        pixels, mask = _tile(sample)
        return hashlib.sha256(pixels.tobytes() + mask.tobytes()).hexdigest()

    def revision(self) -> str:
        return f"{self.version}"


def _samples(folder: str, defect: str, count: int) -> tuple[Sample, ...]:
    return tuple(Sample(f"{folder}/{defect}/{index:03d}", defect) for index in range(count))


@lru_cache(maxsize=256)
def _tile(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """A tile [TILE, TILE] uint8, and its defective pixels, bool. Both follow from the sample's id alone."""
    import numpy as np

    category, part, *_ = sample.id.split("/")
    dice = Dice(sample.id)
    left = 0 if part == "train" else _PHOTO // 2
    tile = _cut(dice, _photograph(category), left, _PHOTO // 2)
    if not sample.anomalous:
        return tile, np.zeros(tile.shape, bool)
    foreign = _cut(dice, _photograph(_FOREIGN[category]), 0, _PHOTO)
    return plant(sample.defect, tile, foreign, dice)


def _cut(dice: Dice, photograph: np.ndarray, left: int, width: int) -> np.ndarray:
    """A tile from anywhere in these columns of a photograph."""
    top, left = dice.between(0, _PHOTO - TILE), left + dice.between(0, width - TILE)
    tile: np.ndarray = photograph[top : top + TILE, left : left + TILE]
    return tile


@cache
def _photograph(name: str) -> np.ndarray:
    """[512, 512] uint8, read from where scikit-image is installed: asking its own loader might go to the network.

    Raises:
        DataError: scikit-image is not installed, or its photographs are not what they were.
    """
    package = find_spec("skimage")
    path = Path(*(package.submodule_search_locations or ()) if package else ()) / "data" / f"{name}.png"
    if not path.is_file():
        raise DataError(f"dataset 'demo': scikit-image's photograph {path} is missing; pip install scikit-image")
    photograph: np.ndarray = read_image(path)[:, :, 0]
    if photograph.shape != (_PHOTO, _PHOTO):
        raise DataError(f"dataset 'demo': {path} is another photograph than expected; pip install scikit-image")
    return photograph
