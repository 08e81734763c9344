"""Ignore masks: pixels of a category, or of one image, that nobody looks at, such as a date code or a clamp."""

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
OWN = ".ignore"
"""What follows an image's name, without its suffix, in the name of the mask of that image alone."""


@dataclass(frozen=True, eq=False)
class IgnoreMask:
    """The pixels to ignore in all images of a category, or in one image.

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


def is_own_mask(path: Path) -> bool:
    """Whether a file is by its name the ignore mask of one image: ``000.ignore.png`` of ``000.png``."""
    return path.stem.lower().endswith(OWN)


def own_mask_file(image: Path) -> Path | None:
    """The file beside an image that marks the pixels to ignore in it alone; None for none.

    Raises:
        BadImage: there are several.
    """
    names = [image.with_name(f"{image.stem}{OWN}{suffix}") for suffix in (".png", LABELME)]
    found = [path for path in names if path.is_file()]
    if len(found) > 1:
        problem = f"{found[0].name} and {found[1].name} both mark pixels to ignore"
        raise BadImage(image, problem, advice="keep one of them")
    return found[0] if found else None


def ignored_in(image: Path, of_all: IgnoreMask | None) -> IgnoreMask | None:
    """The pixels to ignore in the file of an image: those of its category, and those that a mask beside it marks.

    Args:
        image: the file.
        of_all: the mask of all images of its category; None for none.

    Raises:
        BadImage: the mask beside it cannot be read, has another size, or marks no pixel, or none is left to look at.
    """
    file = own_mask_file(image)
    if file is None:
        return of_all
    try:
        own = read_ignore_mask(file)
        pixels = own.of(image, read_size(image))
        return own if of_all is None else IgnoreMask(pixels | of_all.of(image, own.pixels.shape), _both(of_all, own))
    except BadImage:
        raise
    except DataError as error:
        raise BadImage(image, str(error), advice=f"repair {file.name}") from None


def _both(one: IgnoreMask, other: IgnoreMask) -> str:
    return f"{one.name} with {other.name}"


def _drawn(path: Path) -> np.ndarray:
    """[H, W] bool: the union of the shapes in a file of labelme."""
    import numpy as np

    from adbench.annotations.labelme import read_labelme_file

    annotation = read_labelme_file(path)
    marked = [shape.mask for shape in annotation.shapes]
    return np.logical_or.reduce(marked) if marked else np.zeros(annotation.size or (1, 1), bool)
