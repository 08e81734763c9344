"""Datasets: images and their truth. Labels and masks never reach a component that scores."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from adbench.api.component import Component

if TYPE_CHECKING:
    import numpy as np

    from adbench.api.curves.regions import Region

GOOD = "good"
"""The defect type of a normal image, as MVTec AD names its folder."""


@dataclass(frozen=True)
class Sample:
    """One image of a dataset.

    Attributes:
        id: unique and stable within the dataset, such as ``"bottle/test/broken_large/000"``.
        defect: the type of defect, or `GOOD`.
    """

    id: str
    defect: str = GOOD

    @property
    def anomalous(self) -> bool:
        """Whether the image shows a defect."""
        return self.defect != GOOD


@dataclass(frozen=True)
class Split:
    """The images of one category, sorted by id. Test and train never share an image.

    Attributes:
        train: normal images to learn from.
        test: images to judge.
    """

    train: tuple[Sample, ...]
    test: tuple[Sample, ...]


@dataclass(frozen=True)
class PassedOver:
    """A file that lies where a dataset's files lie, and is not read.

    Attributes:
        file: its path below the dataset's folder, or whatever finds it.
        why: as a sentence goes on after the path, such as ``"lies one folder deeper than images do"``.
    """

    file: str
    why: str

    def __str__(self) -> str:
        return f"{self.file}: {self.why}"


@dataclass(frozen=True)
class Survey:
    """A report of how a dataset read its files, for a person who checks a result.

    Attributes:
        labels: which images are normal and which are not, on one line, such as
            ``"test: good 14 normal; crack 4, print 4 defective"``; empty if there is nothing to say.
        passed_over: what looks like a part of the data and is not read.
    """

    labels: str = ""
    passed_over: tuple[PassedOver, ...] = ()


class Dataset(Component):
    """Categories of images, with truth for the test images."""

    kind: ClassVar[str] = "dataset"
    may_be_shown: ClassVar[bool] = False
    """Whether the images' licence lets anybody publish them: then pages of boards show some."""
    judges_marks: ClassVar[bool] = False
    """Whether the publishers judge maps that are cut at a threshold: then `pixel-seg-f1` is measured."""

    @property
    def board_name(self) -> str:
        """The dataset's name in records and on boards; by default the component's name."""
        return self.name

    @abstractmethod
    def categories(self) -> Sequence[str]:
        """Sorted names.

        Raises:
            DataError: the data is not there; the message says how to get it.
        """

    @abstractmethod
    def split(self, category: str) -> Split:
        """The images of a category, without reading them.

        Raises:
            UnknownName: no such category.
            DataError: the category has no normal training image or no test image.
        """

    @abstractmethod
    def image(self, sample: Sample) -> np.ndarray:
        """[H, W, 3] RGB: uint8 (0 to 255), or float32 (0 to 1) where the file has more than 8 bits a channel.

        Raises:
            BadImage: the file is truncated, empty, too large or no image.
        """

    @abstractmethod
    def mask(self, sample: Sample) -> np.ndarray | None:
        """[H, W] bool of the image's size, True on defective pixels; all False for a normal image; None where a
        defective image has no annotation.

        Raises:
            BadImage: the mask cannot be read or has another size than its image.
        """

    def regions(self, sample: Sample) -> Sequence[Region] | None:  # noqa: ARG002  most annotations are one mask
        """The parts of an image's defect that count alone, and how much of each has to be found.

        Optional: a dataset whose annotation tells defects apart overrides it, and is then measured by `pixel-spro-05`.

        Returns:
            [H, W] regions of the image's size, none for a normal image; None where a defective image has no annotation.

        Raises:
            BadImage: as for `mask`.
        """
        return None

    def specimen(self, sample: Sample) -> str | None:  # noqa: ARG002  most images show a specimen each
        """The physical piece that an image is a view of, by any name that is the same for all of its views.

        Optional: a dataset with several views of a piece overrides it, and is then measured by `sample-auroc`.

        Returns:
            None where an image is not known to be one of several views.
        """
        return None

    def ignored(self, sample: Sample) -> np.ndarray | None:  # noqa: ARG002  most data are looked at whole
        """Pixels of an image that nobody looks at, such as a date code: no fit, score or pixel metric reads them.

        Optional. What it gives is a part of `digest`.

        Returns:
            [H, W] bool of the image's size, True on ignored pixels, not on all of them; None for none.

        Raises:
            BadImage: the image has another size than what marks its pixels.
        """
        return None

    @abstractmethod
    def digest(self, sample: Sample) -> str:
        """The sha256 over the content of image and mask, in hex: what `revision` and the identity are made of."""

    @abstractmethod
    def revision(self) -> str:
        """A short name of the data's state for people, such as a version or where it was found."""

    def survey(self, category: str = "") -> Survey | None:  # noqa: ARG002  whoever has files overrides it
        """How files of a category were read, as a report; without a name, of files outside categories. Reads no image.

        Optional: a dataset that finds files by their names overrides it. Then a run says it, its record counts what
        was passed over, and ``adbench data verify`` lists that as wrong.

        Returns:
            None if no file could have been passed over, or none was searched for.

        Raises:
            UnknownName: no such category.
            DataError: the category cannot be read at all.
        """
        return None

    def remarks(self, category: str) -> Sequence[str]:  # noqa: ARG002  whoever reads files overrides it
        """Sentences about files of a category that were read in an unusual way, as far as they have been read.

        Optional. A run says each once, and ``adbench data verify`` when it has read all files.
        """
        return ()
