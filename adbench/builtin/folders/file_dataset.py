"""The common base of datasets of image and mask files, whatever their layout of folders."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import BadImage, Dataset, Field, Sample, Split
from adbench.builtin.images.ignoring import IgnoreMask, ignored_in, own_mask_file, read_ignore_mask
from adbench.builtin.images.masks import Marks, read_mask_file
from adbench.builtin.images.reading import has_16_bits, read_image, read_size
from adbench.builtin.images.remarks import Remarks
from adbench.errors import printable
from adbench.files import sha256_of

if TYPE_CHECKING:
    import numpy as np

_PEEK = 3
"""Training images of a category that are looked into, where their headers tell of 16 bits, before all are read."""


class FileDataset(Dataset):
    """A dataset whose images and masks are files: a subclass finds them, and this class reads them.

    The id of a sample begins with its category and a slash.

    Attributes:
        published: numbers of training and test images of each category, if known; no other is one.
    """

    published: ClassVar[dict[str, tuple[int, int]]] = {}

    class Config(Dataset.Config):
        """What all datasets of files may be told."""

        ignore: Path | None = Field(
            None,
            description="an image, or a file of labelme, that marks pixels of all images which no fit, score or pixel"
            " metric reads",
        )

    config: Config

    @property
    @abstractmethod
    def root(self) -> Path:
        """The folder in which all files lie.

        Raises:
            DataError: it is not there; the message says how to get it.
        """

    @abstractmethod
    def image_path(self, sample: Sample) -> Path:
        """The file of a sample.

        Raises:
            UnknownName: no such sample.
        """

    @abstractmethod
    def mask_paths(self, sample: Sample) -> tuple[Path, ...]:
        """The mask files of a sample, of which the union counts; none where it has no annotation.

        Raises:
            BadImage: it should have a mask, and has none.
        """

    @property
    def white(self) -> float | None:
        """The number of white in images of more than 8 bits a channel; None for the highest number of the bits."""
        return None

    @property
    def marks(self) -> Marks:
        """Whether light or dark marks a defect in masks. Those of published data are known to be light."""
        return "light"

    def ignore_file(self, category: str) -> Path | None:  # noqa: ARG002  one for all categories
        """The file that marks the pixels to ignore in all images of a category; None for none."""
        return self.config.ignore

    def ignore_mask(self, category: str) -> IgnoreMask | None:
        """The pixels to ignore in all images of a category; None for none.

        Raises:
            DataError: the file that marks them cannot be read, or marks none or all.
        """
        file = self.ignore_file(category)
        if file is None:
            return None
        if file not in self._ignore_masks:
            self._ignore_masks[file] = read_ignore_mask(file)
        return self._ignore_masks[file]

    @cached_property
    def _ignore_masks(self) -> dict[Path, IgnoreMask]:
        return {}

    def ignored(self, sample: Sample) -> np.ndarray | None:
        path = self.image_path(sample)
        mask = ignored_in(path, self.ignore_mask(sample.id.split("/")[0]))
        return None if mask is None else mask.of(path, read_size(path))

    def image(self, sample: Sample) -> np.ndarray:
        path = self.image_path(sample)
        pixels = read_image(path, self.white)
        remarks = self._remarks(sample)
        if pixels.dtype != "uint8" and self.white is None and remarks.wants_peaks and has_16_bits(path):
            remarks.add_peak(round(float(pixels.max()) * 65535))
        return pixels

    def mask(self, sample: Sample) -> np.ndarray | None:
        import numpy as np

        size = read_size(self.image_path(sample))
        if not sample.anomalous:
            return np.zeros(size, bool)
        masks = [self._read_mask(path, size, sample) for path in self.mask_paths(sample)]
        return np.logical_or.reduce(masks) if masks else None

    def digest(self, sample: Sample) -> str:
        path, masks = self.image_path(sample), self.mask_paths(sample)
        image, ignored = sha256_of(path), ignored_in(path, self.ignore_mask(sample.id.split("/")[0]))
        ignoring = [] if ignored is None else [f"ignore={ignored.digest}"]
        read = " ".join([image, *map(sha256_of, masks), *self._pixel_options(), *ignoring])
        return image if read == image else hashlib.sha256(read.encode()).hexdigest()

    def _read_mask(self, path: Path, size: tuple[int, int], sample: Sample) -> np.ndarray:
        marked, remark = read_mask_file(path, size, self.marks)
        self._remarks(sample).add_mask(path, remark)
        return marked

    def _pixel_options(self) -> Iterator[str]:
        """The options that change how pixels are read; they decide the pixels, as the files do."""
        return iter(())

    def remarks(self, category: str) -> Sequence[str]:
        split, remarks = self.split(category), self._remarked[category]
        if remarks.peak < 0 and self.white is None:
            for sample in split.train[:_PEEK]:
                with suppress(BadImage):  # the error is raised again where the image is read
                    if has_16_bits(self.image_path(sample)):
                        self.image(sample)
        ignored, own = self.ignore_mask(category), self._with_own_mask(split)
        return [
            *remarks.sentences(category),
            *([] if ignored is None else [f"{printable(category)}: {ignored.words}"]),
            *([f"{printable(category)}: {own} images have an ignore mask of their own"] if own else []),
        ]

    def _with_own_mask(self, split: Split) -> int:
        """How many images have an ignore mask of their own."""
        files = [self.image_path(sample) for sample in (*split.train, *split.test)]
        return sum(own_mask_file(file) is not None for file in files)

    def identity(self) -> dict[str, Any]:
        """Empty, because `digest` has the content, and the place of the files does not matter."""
        return {}

    @cached_property
    def _remarked(self) -> dict[str, Remarks]:
        return {category: Remarks() for category in self.categories()}

    def _remarks(self, sample: Sample) -> Remarks:
        return self._remarked[sample.id.split("/")[0]]
