"""Datasets in folders: any data in MVTec AD's layout (``folder``), and MVTec AD itself (``mvtec-ad``)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from adbench import GOOD, BadImage, DataError, Field, Sample, Split, UnknownName
from adbench.builtin.folders.archive import Archive
from adbench.builtin.folders.file_dataset import FileDataset
from adbench.builtin.folders.layout import Scan, is_category, scan_category, subfolders
from adbench.builtin.folders.leftovers import beside
from adbench.builtin.folders.names import spelt
from adbench.builtin.folders.published import PublishedDataset, existing
from adbench.builtin.images.masks import Marks
from adbench.errors import printable
from adbench.reports import Survey


class FolderDataset(FileDataset):
    """A dataset in MVTec AD's layout: the base of `Folder` and `MVTecAD`.

    The root is the folder of the categories, or of one category.
    """

    @property
    def normal(self) -> Sequence[str]:
        """Names of folders that hold normal images besides ``good``; none: those whose names mean that."""
        return ()

    def categories(self) -> Sequence[str]:
        return sorted(self._folders)

    def split(self, category: str) -> Split:
        return self._scan(category).split

    def survey(self, category: str = "") -> Survey:
        if category:
            scan = self._scan(category)
            return Survey(scan.labels, scan.passed_over)
        apart = self.published or self.root in self._folders.values()
        return Survey() if apart else Survey(passed_over=tuple(beside(self.root, self._folders.values())))

    def revision(self) -> str:
        return "folder"

    def ignore_file(self, category: str) -> Path | None:
        return super().ignore_file(category) or self._scan(category).ignore

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

    class Config(FileDataset.Config):
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

    def _pixel_options(self) -> Iterator[str]:
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


class MVTecAD(PublishedDataset, FolderDataset):
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

    source = Archive(
        title="MVTec AD",
        url="https://www.mydrive.ch/shares/150996/b52ecdcbf521176e9db9c731f2304b27/download/"
        "420938113-1629960298/mvtec_anomaly_detection.tar.xz",
        sha256="cf4313b13603bec67abb49ca959488f7eedce2a9f7795ec54446c649ac98cd3d",
        page="https://www.mvtec.com/company/research/datasets/mvtec-ad",
        licence="CC BY-NC-SA 4.0 (https://creativecommons.org/licenses/by-nc-sa/4.0/): not for commercial use",
        size=5_264_982_680,
        images=5354,
        paper="Bergmann et al., CVPR 2019",
    )
    unpacked = ("mvtec_anomaly_detection",)

    def is_in(self, folder: Path) -> bool:
        return any(is_category(folder / category, folder.resolve()) for category in self.published)

    def revision(self) -> str:
        return "2019"
