"""An embedded dataset: real photographs with planted defects, so that everything can be tried without a download.

The photographs of brick, grass and gravel are CC0 and ship inside scikit-image's wheel. Each is cut into 64 tiles that
share no pixel, and each tile is one image. Chance decides which tiles are for training and which for the test: normal
images of training and test are exchangeable, as the bound on false alarms requires.
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
"""Height and width of an image in pixels: a tile of half the side, enlarged twofold."""

_PHOTO = 512
_CUT = TILE // 2
_ACROSS = _PHOTO // _CUT
_TRAIN, _GOOD, _EACH = 28, 16, 4
"""Training images, good test images, and test images with each kind of defect, in each category: all 64 tiles."""

_FOREIGN = {"brick": "gravel", "grass": "brick", "gravel": "grass"}
"""Which other material a foreign patch is made of."""


class Demo(Dataset):
    """Brick, grass and gravel with five kinds of planted defects; deterministic to the bit on every machine."""

    name = "demo"
    version = 2
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
    """An image [TILE, TILE] uint8, and its defective pixels, bool. Both follow from the sample's id alone."""
    import numpy as np

    category, part, defect, number = sample.id.split("/")
    tile = _enlarged(_cut(_photograph(category), _places(category)[f"{part}/{defect}", int(number)]))
    if not sample.anomalous:
        return tile, np.zeros(tile.shape, bool)
    dice = Dice(sample.id)
    foreign = _cut(_photograph(_FOREIGN[category]), dice.between(0, _ACROSS * _ACROSS - 1))
    return plant(sample.defect, tile, _enlarged(foreign), dice)


@cache
def _places(category: str) -> dict[tuple[str, int], int]:
    """The place of each image's tile in the photograph, 0 to 63, by folder and number: a random order of all places."""
    counts = {f"train/{GOOD}": _TRAIN, f"test/{GOOD}": _GOOD} | {f"test/{defect}": _EACH for defect in DEFECTS}
    images = [(folder, number) for folder, count in counts.items() for number in range(count)]
    return dict(zip(images, Dice(f"{category}/places").order(len(images)), strict=True))


def _cut(photograph: np.ndarray, place: int) -> np.ndarray:
    """A tile [TILE / 2, TILE / 2] of a photograph; places are numbered row by row."""
    top, left = (index * _CUT for index in divmod(place, _ACROSS))
    tile: np.ndarray = photograph[top : top + _CUT, left : left + _CUT]
    return tile


def _enlarged(tile: np.ndarray) -> np.ndarray:
    """[TILE, TILE] uint8: twice the side, linear between the pixels' centres; in integers, alike on every machine."""
    import numpy as np

    lines = tile.astype(np.int64)
    for _ in range(2):  # rows, then columns
        padded = np.pad(lines, ((1, 1), (0, 0)), mode="edge")
        own = 3 * padded[1:-1]
        pairs = np.stack([own + padded[:-2], own + padded[2:]], axis=1)
        lines = ((pairs.reshape(-1, lines.shape[1]) + 2) // 4).T
    return lines.astype(np.uint8)


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
