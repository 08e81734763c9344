"""Magnetic tiles: gray pictures of various sizes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from adbench.datasets import DataSource
from adbench_data.listed import PublishedSet
from adbench_data.listing import LEFT_OUT, TEST, TRAIN, Item
from adbench_data.marked import marks_anything
from adbench_data.tree import stem, suffix

_EVERY = 5
"""Of the normal images by name, each fifth from the first one is a test image."""


class MagneticTile(PublishedSet):
    """Magnetic tiles: one category with five kinds of surface defects (Huang et al., 2018); no licence is stated.

    There is no official split. Normal images are those of ``MT_Free``; every fifth of them by name, from the first one,
    is a test image. All images of the other folders are test images, except those whose mask marks nothing.
    """

    name = "magnetic-tile"
    year = "2018"
    known = ("magnetic_tile",)
    published: ClassVar[dict[str, tuple[int, int]]] = {"magnetic_tile": (761, 579)}
    source = DataSource(
        title="Magnetic tile defects",
        page="https://github.com/abin24/Magnetic-tile-defect-datasets.",
        licence="none is stated; the authors welcome use in research",
        images=1344,
        paper="Huang et al., Surface defect saliency of magnetic tile, The Visual Computer 2018",
    )
    unpacked = ("Magnetic-tile-defect-datasets.-master", "Magnetic-tile-defect-datasets.")

    kinds: ClassVar[tuple[str, ...]] = ("Blowhole", "Break", "Crack", "Fray", "Uneven")

    def folder_of(self, category: str) -> str:  # noqa: ARG002  the root is that of the one category
        return ""

    def is_in(self, folder: Path) -> bool:
        return (folder / "MT_Free" / "Imgs").is_dir()

    def is_no_image(self, path: str) -> bool:
        return suffix(path) != ".jpg"

    def items(self, category: str) -> Iterator[Item]:  # noqa: ARG002  there is one
        for place, path in enumerate(self._images("Free")):
            yield Item(path, TRAIN if place % _EVERY else TEST)
        for kind in self.kinds:
            masks = self.tree.by_stem(f"MT_{kind}/Imgs", (".png",))
            for path in self._images(kind):
                mask = masks.get(stem(path), "")
                drawn = bool(mask) and marks_anything(self.root / path, self.root / mask)
                yield Item(path, TEST if drawn else LEFT_OUT, kind.lower(), (mask,) if drawn else ())

    def _images(self, kind: str) -> list[str]:
        return self.tree.images(f"MT_{kind}/Imgs", (".jpg",))
