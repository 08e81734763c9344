"""MVTec AD 2: the public part of its test images, which alone has labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from adbench.datasets import DataSource
from adbench_data.layout import Layout
from adbench_data.listed import PublishedSet
from adbench_data.listing import Item

_LAYOUT = Layout(
    test="test_public",
    truth="test_public/ground_truth",
    unused=("validation/good", "test_private", "test_private_mixed"),
)


class MVTecAD2(PublishedSet):
    """MVTec AD 2: eight hard scenes under changing light (Heckler-Kram et al., 2025), CC BY-NC-SA 4.0.

    ``train/good`` is learned from, ``test_public`` is judged. ``validation/good`` is left out: adbench finds its
    threshold from training images that the bank has not seen. ``test_private`` and ``test_private_mixed`` are left out,
    since MVTec alone has their labels; ``adbench submit-ad2`` makes a package for its server. The publishers' figures
    are AUPRO up to a false positive rate of 0.05, and SegF1 at a threshold from normal images (`pixel-seg-f1`).
    """

    name = "mvtec-ad-2"
    year = "2025"
    known = ("can", "fabric", "fruit_jelly", "rice", "sheet_metal", "vial", "wallplugs", "walnuts")
    source = DataSource(
        title="MVTec AD 2",
        page="https://www.mvtec.com/company/research/datasets/mvtec-ad-2",
        licence="CC BY-NC-SA 4.0 (https://creativecommons.org/licenses/by-nc-sa/4.0/): not for commercial use",
        size=30_400_000_000,
        images=8004,
        paper="Heckler-Kram et al., The MVTec AD 2 Dataset, 2025 (arXiv 2503.21622)",
    )
    published: ClassVar[dict[str, tuple[int, int]]] = {
        "can": (412, 162),
        "fabric": (387, 156),
        "fruit_jelly": (263, 80),
        "rice": (313, 132),
        "sheet_metal": (137, 114),
        "vial": (291, 140),
        "wallplugs": (293, 150),
        "walnuts": (432, 150),
    }
    unpacked = ("mvtec_ad_2",)
    judges_marks = True

    def has_mark(self, folder: Path) -> bool:
        return any((folder / name / "test_public").is_dir() for name in self.known)

    def items(self, category: str) -> Iterator[Item]:
        return _LAYOUT.items(self.tree, category)
