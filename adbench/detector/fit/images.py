"""Images as callers give them: a folder, paths, arrays, or a generator of these."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast

import numpy as np

from adbench.api.component import sha256_of
from adbench.api.dataset import Dataset, Sample, Split
from adbench.datasets import IgnoreMask, ignored_in, read_ignore_mask, read_image, read_size
from adbench.detector.fit.appearance import Appearance
from adbench.detector.fit.folders import files_below, left_out
from adbench.errors import BadImage, DataError, UsageError, printable


class ArrayHolder(Protocol):
    """What NumPy can look into without copying, such as an image of Pillow."""

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """Shape, type and place of the pixels."""


ImageLike: TypeAlias = "str | os.PathLike[str] | np.ndarray | ArrayHolder | GivenImage"
"""One image: the path of a file, an array, or an image of Pillow."""
Images: TypeAlias = "ImageLike | Iterable[ImageLike]"
"""One image, a folder of images, or many images."""


CATEGORY = "given"
"""What images belong to that a caller gave without a category."""


@dataclass(frozen=True, eq=False)
class GivenImage:
    """One image, read when it is needed.

    Attributes:
        name: for people; the path as it was given, or a number.
        source: the file, or the pixels.
    """

    name: str
    source: Path | np.ndarray

    def pixels(self, white: float | None = None) -> np.ndarray:
        """[H, W, 3] RGB: uint8 (0 to 255), or float32 (0 to 1).

        Args:
            white: the number that is white in images of more than 8 bits; None for what the bits can hold.

        Raises:
            BadImage: the file cannot be read as an image, or the array is none.
        """
        if isinstance(self.source, Path):
            return read_image(self.source, white)
        return _colours(self.name, self.source, white)

    def size(self) -> tuple[int, int]:
        """Height and width; of a file, as its header has them.

        Raises:
            BadImage: the file cannot be read as an image, or the array is none.
        """
        if isinstance(self.source, Path):
            return read_size(self.source)
        height, width = self.pixels(1.0).shape[:2]
        return int(height), int(width)

    def ignored(self, of_all: IgnoreMask | None) -> IgnoreMask | None:
        """The pixels to ignore: those of all images, and those that a mask beside its file marks.

        Raises:
            BadImage: the mask beside it cannot be read, has another size, or no pixel is left to look at.
        """
        return ignored_in(self.source, of_all) if isinstance(self.source, Path) else of_all

    def digest(self) -> str:
        """The sha256 of the file's bytes, or of an array's shape, type and values, in hex.

        Raises:
            BadImage: the file cannot be read.
        """
        if not isinstance(self.source, Path):
            head = f"{self.source.shape} {self.source.dtype.str}".encode()
            return hashlib.sha256(head + np.ascontiguousarray(self.source).tobytes()).hexdigest()
        try:
            return sha256_of(self.source)
        except UsageError:
            is_there = self.source.exists()
            raise (BadImage(self.source, "cannot be read") if is_there else BadImage.missing(self.source)) from None


def _colours(name: str, array: np.ndarray, white: float | None) -> np.ndarray:
    """An array [H, W], or [H, W, C] with 1 to 4 channels, as [H, W, 3]; a last channel of 2 or 4 is alpha, ignored."""
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 2, 3, 4) or 0 in array.shape:
        shape = "x".join(map(str, array.shape))
        raise BadImage(name, f"an array of shape {shape} is no image", "give [H, W], or [H, W, C] with 1 to 4 channels")
    colours = array.reshape(*array.shape[:2], channels)[:, :, : 3 if channels > 2 else 1]
    whole = _levels(name, colours, white)
    return np.array(np.broadcast_to(whole, (*whole.shape[:2], 3)))


def _levels(name: str, array: np.ndarray, white: float | None) -> np.ndarray:
    """uint8 as it is; uint16 and floats as float32 from 0 to 1, whatever the order of their bytes."""
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        levels: np.ndarray = array.astype(np.uint8) * np.uint8(255)
        return levels
    if array.dtype == np.uint16:
        return _unit(array, white or 65535, clip=white is not None)
    if array.dtype.kind != "f":
        raise BadImage(name, f"an array of {array.dtype} does not say what white is", "give uint8, uint16 or floats")
    unit: np.ndarray = _unit(array, white or 1, clip=white is not None)
    if not (np.isfinite(unit).all() and unit.min() >= 0 and unit.max() <= 1):
        raise BadImage(name, "floating point pixels have to lie between 0 and 1", "say what white is, or scale them")
    return unit


def _unit(numbers: np.ndarray, white: float, *, clip: bool) -> np.ndarray:
    """Numbers as float32 from 0 to 1, as `read_image` makes them of a file's."""
    unit: np.ndarray = numbers.astype(np.float32) / np.float32(white)
    return np.minimum(unit, np.float32(1)) if clip else unit


def is_one(given: Images) -> bool:
    """Whether a single image is meant: an array, an image of Pillow, or a path that is no folder."""
    if isinstance(given, str | os.PathLike):
        return not Path(given).is_dir()
    return isinstance(given, np.ndarray) or hasattr(given, "__array_interface__")


def images_of(given: Images) -> Iterator[GivenImage]:
    """The images that are given, one after the other; a generator is read as far as it is asked for.

    Raises:
        DataError: a folder holds no image.
        UsageError: something is given that is no image.
    """
    if isinstance(given, str | os.PathLike) and Path(given).is_dir():
        yield from (GivenImage(str(path), path) for path in files_below(Path(given)))
    elif is_one(given):
        yield _image(cast("ImageLike", given), 0)
    elif isinstance(given, Iterable):
        for number, one in enumerate(given):
            yield _image(one, number)
    else:
        raise UsageError(f"{type(given).__name__} is no image; give a path, an array, or many of them")


def _image(given: ImageLike, number: int) -> GivenImage:
    if isinstance(given, str | os.PathLike):
        return GivenImage(os.fspath(given), Path(given))
    if isinstance(given, GivenImage):
        return given
    if isinstance(given, np.ndarray) or hasattr(given, "__array_interface__"):
        return GivenImage(f"image-{number:06}", np.asarray(given))
    raise UsageError(f"image {number} is {type(given).__name__}; give a path, an array or an image of Pillow")


def left_out_of_normal(given: Images) -> str:
    """As `left_out`, of the folder of `normal_images`; empty for images that are given one by one."""
    if not isinstance(given, str | os.PathLike) or not Path(given).is_dir():
        return ""
    return left_out(normal_folder(Path(given)), below=False)


def normal_folder(folder: Path) -> Path:
    """The folder of the normal images: of a category in MVTec AD's layout that of the training images, else itself."""
    return next((part for part in (folder / "train" / "good", folder / "good") if part.is_dir()), folder)


def normal_images(given: Images) -> list[GivenImage]:
    """Images to learn from. Of a folder those that lie in it: what lies in folders below may show defects.

    A folder of a category in MVTec AD's layout stands for its normal training images.

    Raises:
        DataError: there is none.
        UsageError: something is given that is no image.
    """
    if not isinstance(given, str | os.PathLike) or not Path(given).is_dir():
        return list(images_of(given))
    inside = normal_folder(Path(given))
    found = [path for path in files_below(inside) if path.parent == inside]
    if not found:
        raise DataError(f"{printable(inside)} holds images in folders only; name the folder of the normal ones itself")
    return [GivenImage(str(path), path) for path in found]


def ignore_mask_of(given: str | Path | np.ndarray | None) -> IgnoreMask | None:
    """The ignore mask in a file or an array [H, W] bool; None for none.

    Raises:
        DataError: it cannot be read, or marks no pixel or all of them.
        UsageError: an array of another kind.
    """
    if given is None:
        return None
    if not isinstance(given, np.ndarray):
        return read_ignore_mask(Path(given))
    if given.ndim != 2 or given.dtype != np.bool_:
        raise UsageError(f"an ignore mask is an array [H, W] of bool, not {list(given.shape)} of {given.dtype}")
    return IgnoreMask(given)


class GivenDataset(Dataset):
    """Images that a caller gave, as the engine reads those of a dataset.

    It goes by the name of the dataset ``folder``: in both, the content of an image decides its features, so that both
    share what is in the feature cache.

    Args:
        images: in the order in which a method learns from them.
        white: the number that is white in images of more than 8 bits.
        ignore: the pixels of all images that nobody looks at; None for none.

    Attributes:
        white, ignore: as given.
        samples: a sample for each image, in order.
        appearances: of the images that were read so far, by id.
    """

    name = "folder"

    def __init__(
        self, images: Sequence[GivenImage], white: float | None = None, ignore: IgnoreMask | None = None
    ) -> None:
        super().__init__()
        self.white, self.ignore = white, ignore
        self._images = dict(zip(_ids(images), images, strict=True))
        self.samples = tuple(map(Sample, self._images))
        self.appearances: dict[str, Appearance] = {}

    def categories(self) -> Sequence[str]:
        return [CATEGORY]

    def split(self, category: str) -> Split:  # noqa: ARG002  there is one
        return Split(self.samples, ())

    def image(self, sample: Sample) -> np.ndarray:
        pixels = self._images[sample.id].pixels(self.white)
        self.appearances[sample.id] = Appearance.of(pixels)
        return pixels

    def mask(self, sample: Sample) -> np.ndarray:
        return np.zeros(self.image(sample).shape[:2], bool)

    def ignored(self, sample: Sample) -> np.ndarray | None:
        image, seen = self._images[sample.id], self.appearances.get(sample.id)
        mask = image.ignored(self.ignore)
        if mask is None:
            return None
        return mask.of(image.name, image.size() if seen is None else (seen.height, seen.width))

    def digest(self, sample: Sample) -> str:
        content, mask = self._images[sample.id].digest(), self._images[sample.id].ignored(self.ignore)
        white = [] if self.white is None else [f"white={self.white!r}"]
        ignored = [] if mask is None else [f"ignore={mask.digest}"]
        if not white and not ignored:
            return content
        return hashlib.sha256(
            " ".join([content, *white, *ignored]).encode()
        ).hexdigest()  # as datasets of files have it

    def revision(self) -> str:
        return "given"

    def all_appearances(self) -> Iterable[Appearance]:
        """What the images look like; those that were not read yet, since their features were cached, are read now."""
        for sample in self.samples:
            if sample.id not in self.appearances:
                self.image(sample)
        return self.appearances.values()

    def name_of(self, sample: Sample) -> str:
        """The image's name for people: the file's own, without its folder."""
        return Path(self._images[sample.id].name).name

    def file_of(self, sample: Sample) -> Path | None:
        """The image's file; None for an array."""
        source = self._images[sample.id].source
        return Path(os.path.abspath(source)) if isinstance(source, Path) else None  # noqa: PTH100  links stay links


def _ids(images: Sequence[GivenImage]) -> list[str]:
    """An id for each image, which sorts as the images follow one another."""
    digits = len(str(len(images)))
    return [f"{CATEGORY}/{number:0{digits}}" for number in range(len(images))]
