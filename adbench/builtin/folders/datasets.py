"""Datasets in folders: any data in MVTec AD's layout (``folder``), and MVTec AD itself (``mvtec-ad``)."""

from __future__ import annotations

import hashlib
import os
import re
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import GOOD, BadImage, DataError, Dataset, Field, Sample, Split, StorageError, Survey, UnknownName
from adbench.builtin.folders.archive import Archive
from adbench.builtin.folders.layout import Scan, is_category, scan_category, subfolders
from adbench.builtin.folders.leftovers import beside
from adbench.builtin.folders.names import spelt
from adbench.builtin.images.masks import Marks, read_mask_file
from adbench.builtin.images.reading import has_16_bits, read_image, read_size
from adbench.builtin.images.remarks import Remarks
from adbench.errors import printable
from adbench.files import read_yaml, sha256_of

if TYPE_CHECKING:
    import numpy as np


_PEEK = 3
"""Training images of a category that are looked into, where their headers tell of 16 bits, before all are read."""


class FolderDataset(Dataset):
    """What `Folder` and `MVTecAD` share: everything but where the root is.

    Attributes:
        published: numbers of training and test images of each category, if known; no other is one.
    """

    published: ClassVar[dict[str, tuple[int, int]]] = {}

    @property
    def normal(self) -> Sequence[str]:
        """Names of folders that hold normal images besides ``good``; none: those whose names mean that."""
        return ()

    @property
    @abstractmethod
    def root(self) -> Path:
        """The folder of the categories, or of one category.

        Raises:
            DataError: it is not there; the message says how to get it.
        """

    def categories(self) -> Sequence[str]:
        return sorted(self._folders)

    def split(self, category: str) -> Split:
        return self._scan(category).split

    @property
    def white(self) -> float | None:
        """What number is white in images of more than 8 bits a channel; None for what the bits can hold."""
        return None

    @property
    def marks(self) -> Marks:
        """Whether light or dark marks a defect in masks. Those of published data are known to be light."""
        return "light"

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
        image, masks = sha256_of(self.image_path(sample)), self.mask_paths(sample)
        read = " ".join([image, *map(sha256_of, masks), *self._said()])
        return image if read == image else hashlib.sha256(read.encode()).hexdigest()

    def survey(self, category: str = "") -> Survey:
        if category:
            scan = self._scan(category)
            return Survey(scan.labels, scan.passed_over)
        apart = self.published or self.root in self._folders.values()
        return Survey() if apart else Survey(passed_over=tuple(beside(self.root, self._folders.values())))

    def _read_mask(self, path: Path, size: tuple[int, int], sample: Sample) -> np.ndarray:
        marked, remark = read_mask_file(path, size, self.marks)
        self._remarks(sample).add_mask(path, remark)
        return marked

    def _said(self) -> Iterator[str]:
        """What somebody has said of how pixels are read, which decides them as the files do."""
        return iter(())

    def remarks(self, category: str) -> Sequence[str]:
        split, remarks = self.split(category), self._remarked[category]
        if remarks.peak < 0 and self.white is None:
            for sample in split.train[:_PEEK]:
                with suppress(BadImage):  # which whoever needs it will say
                    if has_16_bits(self.image_path(sample)):
                        self.image(sample)
        return list(remarks.sentences(category))

    def revision(self) -> str:
        return "folder"

    def identity(self) -> dict[str, Any]:
        """Empty: the content decides, which `digest` carries, and not where it lies."""
        return {}

    def image_path(self, sample: Sample) -> Path:
        """The file of a sample.

        Raises:
            UnknownName: no such sample.
        """
        images = self._scan(sample.id.split("/")[0]).images
        if sample.id not in images:
            raise UnknownName("sample", sample.id, images, f"of {self.title}")
        return images[sample.id]

    def mask_paths(self, sample: Sample) -> tuple[Path, ...]:
        """The mask files of a sample, of which the union counts; none where its kind of defect has no annotation.

        Raises:
            BadImage: other images of its kind have a mask, this one has none.
        """
        path, scan = self.image_path(sample), self._scan(sample.id.split("/")[0])
        masks = scan.masks.get(sample.id, ())
        if not masks and sample.defect in scan.annotated:
            missing = f"has no mask {printable(path.stem)}_mask.png in ground_truth/{printable(sample.defect)}"
            raise BadImage(path, missing, advice="add it")
        return masks

    @cached_property
    def _folders(self) -> dict[str, Path]:
        """The folder of each category."""
        root = self.root
        below = [path for path in subfolders(root, root) if is_category(path, root)]
        folders = [root] if is_category(root, root) else below
        named = {spelt(path.name): path for path in folders if not self.published or path.name in self.published}
        if not named:
            left = [] if self.published else list(beside(root, ()))
            raise DataError(
                f"{self.title}: {printable(root)} holds no category; each one is a folder with train/{GOOD} and test in"
                " it, and ROOT is such a folder or the one above" + "".join(f"; {found}" for found in left[:3])
            )
        return named

    @cached_property
    def _remarked(self) -> dict[str, Remarks]:
        return {category: Remarks() for category in self._folders}

    def _remarks(self, sample: Sample) -> Remarks:
        return self._remarked[sample.id.split("/")[0]]

    @cached_property
    def _scans(self) -> dict[str, Scan]:
        return {}

    def _scan(self, category: str) -> Scan:
        if category not in self._folders:
            raise UnknownName("category", category, self._folders, f"of {self.title}")
        if category not in self._scans:
            self._scans[category] = scan_category(category, self._folders[category], self.root, self.normal)
        return self._scans[category]


class Folder(FolderDataset):
    """Your own images in MVTec AD's layout."""

    name = "folder"

    class Config(Dataset.Config):
        root: Path = Field(description="a folder of categories, or of one category, in MVTec AD's layout")
        normal: tuple[str, ...] = Field(
            (),
            description=f"names of folders of normal images besides {GOOD!r}, joined by '+'; all others are then"
            " defective. When left out, names that mean normal are taken so, such as 'ok'",
        )
        called: str = Field(
            "", pattern=r"^[A-Za-z0-9._-]{0,80}$", description="what records call it; the folder's name when left out"
        )
        white: float | None = Field(
            None,
            gt=0,
            allow_inf_nan=False,
            description="the number that is white in images of more than 8 bits, such as 4095 from a camera of 12 bits;"
            " default: what the file's bits can hold",
        )
        marks: Marks = Field(
            "auto",
            description="whether light or dark marks a defect in masks; auto: light, and what marks most of an image is"
            " refused",
        )

    config: Config

    @property
    def normal(self) -> Sequence[str]:
        return self.config.normal

    @property
    def white(self) -> float | None:
        return self.config.white

    @property
    def marks(self) -> Marks:
        return self.config.marks

    def _said(self) -> Iterator[str]:
        if self.white is not None:
            yield f"white={self.white!r}"
        if self.marks != "auto":
            yield f"marks={self.marks}"

    @property
    def board_name(self) -> str:
        return (
            self.config.called or re.sub(r"[^a-z0-9._-]+", "-", self._set_folder.name.lower()).strip("-._") or self.name
        )

    @property
    def _set_folder(self) -> Path:
        """The folder that stands for the data as a whole: one above, where the root is a single category."""
        return self.root.parent if list(self._folders.values()) == [self.root] else self.root

    @cached_property
    def root(self) -> Path:
        return existing(self.config.root, self.title)


def existing(path: Path, who: str) -> Path:
    """The folder as an absolute path.

    Raises:
        DataError: there is none.
    """
    folder = path.expanduser().resolve()
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "does not exist"
        raise DataError(f"{who}: {printable(path)} {what}; give the folder that holds the images, or use --data demo")
    return folder


class MVTecAD(FolderDataset):
    """MVTec AD: 15 categories of industrial images (Bergmann et al., CVPR 2019), CC BY-NC-SA 4.0."""

    name = "mvtec-ad"
    published: ClassVar[dict[str, tuple[int, int]]] = {  # the paper's table 1: 3629 and 1725 in all
        "bottle": (209, 83),
        "cable": (224, 150),
        "capsule": (219, 132),
        "carpet": (280, 117),
        "grid": (264, 78),
        "hazelnut": (391, 110),
        "leather": (245, 124),
        "metal_nut": (220, 115),
        "pill": (267, 167),
        "screw": (320, 160),
        "tile": (230, 117),
        "toothbrush": (60, 42),
        "transistor": (213, 100),
        "wood": (247, 79),
        "zipper": (240, 151),
    }

    archive: ClassVar[Archive] = Archive(
        title="MVTec AD",
        url="https://www.mydrive.ch/shares/150996/b52ecdcbf521176e9db9c731f2304b27/download/"
        "420938113-1629960298/mvtec_anomaly_detection.tar.xz",
        sha256="cf4313b13603bec67abb49ca959488f7eedce2a9f7795ec54446c649ac98cd3d",
        page="https://www.mvtec.com/company/research/datasets/mvtec-ad",
        licence="CC BY-NC-SA 4.0 (https://creativecommons.org/licenses/by-nc-sa/4.0/): not for commercial use",
        variable="ADBENCH_DATA",
    )

    class Config(Dataset.Config):
        root: Path | None = Field(
            None,
            description="the folder of the categories; default ADBENCH_DATA, then configs/local.yaml, then where"
            " 'adbench data get' puts it",
        )

    config: Config

    @cached_property
    def root(self) -> Path:
        if self.config.root is not None:
            return existing(self.config.root, self.title)
        places = list(self._places())
        for place in places:
            for folder in (place, place / self.name, place / "mvtec_anomaly_detection"):
                if any(is_category(folder / category, folder.resolve()) for category in self.published):
                    return folder.resolve()
        raise DataError(
            f"{self.title} is not there (looked in {', '.join(map(str, places))}); get it with"
            f" 'adbench data get {self.name}', name its folder with --root or {self.archive.variable},"
            " or start with --data demo"
        )

    def revision(self) -> str:
        return "2019"

    def download(self, target: Path | None, progress: Callable[[str, int, int | None], None]) -> Path:
        """Fetch, check and unpack the whole dataset.

        Args:
            target: the folder that will hold the categories; default the user's data folder.
            progress: called with what is being done, the bytes done, and the bytes to do or None.

        Returns:
            The folder.

        Raises:
            DataError: it cannot be fetched, or is not what it should be; the message says how to do it by hand.
            StorageError: it cannot be written.
        """
        from adbench.builtin.folders.download import download

        target = (target or self._home()).expanduser().resolve()
        download(self.archive, target, progress)
        return target

    def _places(self) -> Iterator[Path]:
        """Where the data may lie, the most deliberate place first."""
        if variable := os.environ.get(self.archive.variable):
            yield Path(variable).expanduser()
        for folder in (Path.cwd(), Path(__file__).resolve().parents[3]):
            yield from _from_settings(folder / "configs" / "local.yaml", self.name)
        yield self._home()

    def _home(self) -> Path:
        from platformdirs import user_data_path

        return user_data_path("adbench", appauthor=False) / self.name


def _from_settings(path: Path, dataset: str) -> Iterator[Path]:
    """The folder that a file of local settings names for a dataset, if it does.

    Raises:
        DataError: the file cannot be read as such.
    """
    if not path.is_file():
        return
    try:
        settings = read_yaml(path, "a file of settings") or {}
        named = (settings.get("datasets") or {}).get(dataset)
    except (StorageError, AttributeError) as error:
        raise DataError(f"{path} cannot be read: {error}; write 'datasets: {{{dataset}: /path/to/it}}'") from None
    if named is not None:
        yield (path.parent.parent / Path(str(named)).expanduser()).resolve()
