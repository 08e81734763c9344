"""MPDD: painted metal parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from adbench.datasets import DataSource
from adbench_data.layout import Layout
from adbench_data.listed import PublishedSet
from adbench_data.listing import Item


class Mpdd(PublishedSet):
    """MPDD: six kinds of painted metal parts in changing poses (Jezek et al., ICUMT 2021), CC BY-NC-SA 4.0.

    MVTec AD's layout and the original split.
    """

    name = "mpdd"
    year = "2021"
    known = ("bracket_black", "bracket_brown", "bracket_white", "connector", "metal_plate", "tubes")
    published: ClassVar[dict[str, tuple[int, int]]] = {
        "bracket_black": (289, 79),
        "bracket_brown": (185, 77),
        "bracket_white": (110, 60),
        "connector": (128, 44),
        "metal_plate": (54, 97),
        "tubes": (122, 101),
    }
    source = DataSource(
        title="MPDD",
        page="https://github.com/stepanje/MPDD",
        licence="CC BY-NC-SA 4.0 (https://creativecommons.org/licenses/by-nc-sa/4.0/): not for commercial use",
        images=1346,
        paper="Jezek et al., Deep learning-based defect detection of metal parts, ICUMT 2021",
    )
    unpacked = ("MPDD",)

    def items(self, category: str) -> Iterator[Item]:
        return Layout().items(self.tree, category)
