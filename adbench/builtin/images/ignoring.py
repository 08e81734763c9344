"""Ignore masks: pixels of a category that nobody looks at, such as a date code or a clamp."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from adbench import BadImage, DataError
from adbench.builtin.images.masks import read_mask
from adbench.builtin.images.reading import SUFFIXES, read_size
from adbench.errors import printable

if TYPE_CHECKING:
    import numpy as np

LABELME = ".json"
IGNORE_FILES = ("ignore.png", f"ignore{LABELME}")
"""Names of the file beside the images of a category."""


@dataclass(frozen=True, eq=False)
class IgnoreMask:
    """The pixels to ignore in all images of a category.

    Attributes:
        pixels: [H, W] bool, True where a pixel is ignored.
        name: of the file, for messages.

    Raises:
        DataError: it marks no pixel, or all of them.
    """

    pixels: np.ndarray
    name: str = "the ignore mask"

    def __post_init__(self) -> None:
        if not self.pixels.any():
            raise DataError(f"{self.name} marks no pixel, so nothing is ignored; mark pixels with white, or remove it")
        if self.pixels.all():
            raise DataError(f"{self.name} marks all pixels, so nothing is left to look at; mark fewer with white")

    @cached_property
    def digest(self) -> str:
        """The sha256 of size and pixels, in hex, whatever file they come from."""
        import numpy as np

        size = "x".join(map(str, self.pixels.shape))
        return hashlib.sha256(f"{size} ".encode() + np.packbits(self.pixels).tobytes()).hexdigest()

    @property
    def share(self) -> float:
        """The share of the pixels that are ignored."""
        return float(self.pixels.mean())

    def of(self, image: Path | str, size: tuple[int, int]) -> np.ndarray:
        """The pixels of an image of this height and width.

        Raises:
            BadImage: the image has another size.
        """
        if self.pixels.shape != size:
            (height, width), (rows, columns) = size, self.pixels.shape
            problem = f"has {height}x{width} pixels, and {self.name} has {rows}x{columns}"
            raise BadImage(image, problem, advice="give an ignore mask of the images' size")
        return self.pixels

    @property
    def words(self) -> str:
        """What it does, in a sentence."""
        return f"{self.name} marks {100 * self.share:.1f} % of the pixels, which no fit, score or pixel metric reads"


def read_ignore_mask(path: Path) -> IgnoreMask:
    """The ignore mask in an image file, where light pixels are ignored, or in a file of labelme, where shapes are.

    Raises:
        BadImage, DataError: the file cannot be read, or marks no pixel or all of them.
    """
    kinds = ", ".join(suffix[1:] for suffix in (*SUFFIXES, LABELME))
    if path.suffix.lower() not in (*SUFFIXES, LABELME):
        raise DataError(f"{printable(path)}: an ignore mask is an image or a file of labelme ({kinds})")
    pixels = _drawn(path) if path.suffix.lower() == LABELME else read_mask(path, read_size(path), "light")
    return IgnoreMask(pixels, printable(path.name))


def _drawn(path: Path) -> np.ndarray:
    """[H, W] bool: the union of the shapes in a file of labelme."""
    import numpy as np

    from adbench.annotations.labelme import read_labelme_file

    annotation = read_labelme_file(path)
    marked = [shape.mask for shape in annotation.shapes]
    return np.logical_or.reduce(marked) if marked else np.zeros(annotation.size or (1, 1), bool)
