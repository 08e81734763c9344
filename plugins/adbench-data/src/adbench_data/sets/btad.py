"""BTAD: three products, with image and mask files of mixed kinds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from adbench.datasets import DataSource
from adbench_data.layout import Layout
from adbench_data.listed import PublishedSet
from adbench_data.listing import Item


class Btad(PublishedSet):
    """BTAD: three industrial products with body and surface defects (Mishra et al., ISIE 2021), CC BY-NC-SA 4.0.

    The original split: ``train/ok``, and ``test/ok`` and ``test/ko``. Masks lie in ``ground_truth/ko`` and have the
    images' names; the suffixes differ, PNG and BMP are mixed. Product 02 is a texture.
    """

    name = "btad"
    year = "2021"
    known = ("01", "02", "03")
    published: ClassVar[dict[str, tuple[int, int]]] = {"01": (400, 70)}
    source = DataSource(
        title="BTAD",
        page="https://avires.dimi.uniud.it/papers/btad/btad.zip",
        licence="CC BY-NC-SA 4.0 (https://creativecommons.org/licenses/by-nc-sa/4.0/): not for commercial use",
        images=2540,
        paper="Mishra et al., VT-ADL: A Vision Transformer Network for Image Anomaly Detection, ISIE 2021",
    )
    unpacked = ("BTech_Dataset_transformed",)

    layout: ClassVar[Layout] = Layout(normal="ok", mask="")

    def is_in(self, folder: Path) -> bool:
        return any((folder / name / "train" / "ok").is_dir() for name in self.known)

    def items(self, category: str) -> Iterator[Item]:
        return self.layout.items(self.tree, category)
