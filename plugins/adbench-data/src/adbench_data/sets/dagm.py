"""DAGM 2007: artificial textures, whose defects are marked roughly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from adbench import GOOD
from adbench.datasets import DataSource
from adbench_data.listed import PublishedSet
from adbench_data.listing import LEFT_OUT, TEST, TRAIN, Item, Part
from adbench_data.tree import stem


class Dagm(PublishedSet):
    """DAGM 2007: ten artificial textures (Wieler and Hahn, 2007); the page says the licence.

    The original split, ``Train`` and ``Test``; an image is defective if ``Label`` holds a mask of it. The defective
    images of the training part are left out: the original protocol is supervised. Masks are rough ellipses around a
    defect, so that pixel metrics count normal pixels as missed ones.
    """

    name = "dagm"
    year = "2007"
    known = tuple(sorted(f"Class{number}" for number in range(1, 11)))
    sizes: ClassVar[dict[str, int]] = {f"Class{number}": 1150 if number < 7 else 2300 for number in range(1, 11)}
    source = DataSource(
        title="DAGM 2007",
        page="https://zenodo.org/records/12750201",
        licence="the page says it",
        images=16_100,
        paper="Wieler and Hahn, Weakly supervised learning for industrial optical inspection, DAGM 2007",
    )
    unpacked = ("DAGM_KaggleUpload", "DAGM2007")
    suffixes: ClassVar[tuple[str, ...]] = (".png",)

    def items(self, category: str) -> Iterator[Item]:
        yield from self._part(f"{category}/Train", LEFT_OUT, TRAIN)
        yield from self._part(f"{category}/Test", TEST, TEST)

    def _part(self, folder: str, defective: Part, normal: Part) -> Iterator[Item]:
        masks = self.tree.by_stem(f"{folder}/Label", self.suffixes)
        for path in self.tree.images(folder, self.suffixes):
            mask = masks.get(f"{stem(path)}_label")
            yield Item(path, defective, "defect", (mask,)) if mask else Item(path, normal, GOOD)
