"""The files of a submission to MVTec AD 2: exactly one map for each private image, and maybe one mask."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from adbench import DataError
from adbench.errors import printable

PRIVATE: Mapping[str, int] = {
    "can": 321,
    "fabric": 314,
    "fruit_jelly": 255,
    "rice": 277,
    "sheet_metal": 142,
    "vial": 276,
    "wallplugs": 232,
    "walnuts": 228,
}
"""Number of images in each of the two private splits, by object."""
SPLITS: Mapping[str, str] = {"test_private": "regular", "test_private_mixed": "mixed"}
"""Each private split, and how the names of its images end."""
MAPS, MASKS = "anomaly_images", "anomaly_images_thresholded"
"""Folders of a package."""
SUFFIXES: Mapping[str, str] = {MAPS: ".tiff", MASKS: ".png"}


class Place(NamedTuple):
    """An image of a private split, such as ``can/test_private/000_regular``."""

    category: str
    split: str
    stem: str

    @property
    def may_be(self) -> bool:
        """Whether there may be such an image, as far as names tell."""
        word = SPLITS.get(self.split, "")
        return self.category in PRIVATE and re.fullmatch(rf"[0-9]{{3}}_{word}", self.stem) is not None

    def file(self, folder: str) -> str:
        """The name of its map, or of its mask, in a package."""
        return f"{folder}/{self.category}/{self.split}/{self.stem}{SUFFIXES[folder]}"


def images_of(root: Path, category: str) -> dict[Place, Path]:
    """The private images of an object, by their place.

    Args:
        root: the folder of the dataset.
        category: one of its objects.

    Raises:
        DataError: a split is not there, or its images are not those that were published.
    """
    found: dict[Place, Path] = {}
    for split in SPLITS:
        files = sorted((root / category / split).glob("*.png"))
        places = [Place(category, split, path.stem) for path in files]
        odd = [path for path, place in zip(files, places, strict=True) if not place.may_be]
        if odd or len(files) != PRIVATE[category]:
            example = f", such as {printable(odd[0].name)}" if odd else ""
            raise DataError(
                f"MVTec AD 2, {category}/{split}: {len(files)} images are there{example}, and {PRIVATE[category]} were"
                " published; unpack it again"
            )
        found |= dict(zip(places, files, strict=True))
    return found


_NAME = re.compile(r"(anomaly_images(?:_thresholded)?)/([a-z_]+)/(test_private(?:_mixed)?)/([0-9]{3,4}_[a-z]+)\.(\w+)")


def place_of(name: str) -> tuple[str, Place] | None:
    """The folder and the place of a file in a package; None if no package has such a file."""
    match = _NAME.fullmatch(name)
    if match is None or SUFFIXES[match[1]] != f".{match[5]}":
        return None
    return match[1], Place(match[2], match[3], match[4])
