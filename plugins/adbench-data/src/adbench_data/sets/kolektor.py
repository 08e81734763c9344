"""KolektorSDD and KolektorSDD2: surfaces of commutators, normal or defective by their masks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from adbench import GOOD
from adbench.datasets import DataSource
from adbench_data.listed import PublishedSet
from adbench_data.listing import LEFT_OUT, TEST, TRAIN, Item
from adbench_data.marked import marks_anything
from adbench_data.tree import stem, suffix

_LICENCE = "CC BY-NC-SA 4.0 (https://creativecommons.org/licenses/by-nc-sa/4.0/): not for commercial use"
_DEFECT = "defect"
_EVERY = 5
"""Of KolektorSDD's parts, each fifth by name from the first one is for testing."""


class KolektorSdd(PublishedSet):
    """KolektorSDD: 399 images of 50 commutators, 52 of them cracked (Tabernik et al., 2020), CC BY-NC-SA 4.0.

    An image is defective if its mask marks any pixel. There is no official one-class split. Every fifth commutator
    (folder ``kosNN``) by name, from the first one, is for testing: normal images of one commutator are never on both
    sides. All defective images are test images.
    """

    name = "kolektor-sdd"
    year = "2019"
    known = ("commutator",)
    sizes: ClassVar[dict[str, int]] = {"commutator": 399}
    source = DataSource(
        title="KolektorSDD",
        page="https://www.vicos.si/resources/kolektorsdd/",
        licence=_LICENCE,
        images=399,
        paper="Tabernik et al., Segmentation-based deep-learning approach for surface-defect detection, Journal of"
        " Intelligent Manufacturing 2020",
    )
    unpacked = ("KolektorSDD",)

    def folder_of(self, category: str) -> str:  # noqa: ARG002  the root is that of the one category
        return ""

    def is_in(self, folder: Path) -> bool:
        return any((folder / f"kos{number:02}").is_dir() for number in range(1, 51))

    def is_no_image(self, path: str) -> bool:
        return suffix(path) != ".jpg"

    def items(self, category: str) -> Iterator[Item]:  # noqa: ARG002  there is one
        folders = [name for name in self.tree.folders("") if re.fullmatch(r"kos\d+", name)]
        for place, folder in enumerate(folders):
            for path in self.tree.images(folder, (".jpg",)):
                mask, name = f"{folder}/{stem(path)}_label.bmp", f"{folder}-{stem(path)}"
                if marks_anything(self.root / path, self.root / mask):
                    yield Item(path, TEST, _DEFECT, (mask,), name)
                else:
                    yield Item(path, TRAIN if place % _EVERY else TEST, GOOD, (), name)


class KolektorSdd2(PublishedSet):
    """KolektorSDD2: 3,336 images of a surface, 356 of them defective (Bozic et al., 2021), CC BY-NC-SA 4.0.

    The original split. An image is defective if its mask, ``NNNNN_GT.png``, marks any pixel. Defective images of the
    training part are left out: the original protocol is supervised, this one learns from normal images alone.
    """

    name = "kolektor-sdd2"
    year = "2021"
    known = ("surface",)
    published: ClassVar[dict[str, tuple[int, int]]] = {"surface": (2086, 1004)}
    source = DataSource(
        title="KolektorSDD2",
        page="https://www.vicos.si/resources/kolektorsdd2/",
        licence=_LICENCE,
        images=3336,
        paper="Bozic et al., Mixed supervision for surface-defect detection, Computers in Industry 2021",
    )
    unpacked = ("KolektorSDD2",)

    def folder_of(self, category: str) -> str:  # noqa: ARG002  the root is that of the one category
        return ""

    def is_in(self, folder: Path) -> bool:
        return any((folder / "train").glob("*_GT.png"))

    def is_no_image(self, path: str) -> bool:
        return suffix(path) != ".png" or "_GT" in path

    def items(self, category: str) -> Iterator[Item]:  # noqa: ARG002  there is one
        for part in (TRAIN, TEST):
            for path in self.tree.images(part, (".png",)):
                if stem(path).isdecimal():
                    mask = f"{part}/{stem(path)}_GT.png"
                    defective = marks_anything(self.root / path, self.root / mask)
                    where = LEFT_OUT if defective and part == TRAIN else part
                    yield Item(path, where, _DEFECT if defective else GOOD, (mask,) if defective else ())
