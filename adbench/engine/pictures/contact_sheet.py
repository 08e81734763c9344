"""A contact sheet of a dataset's category: what was read, on one page, with masks and counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from adbench.api.dataset import GOOD
from adbench.engine.pictures.canvas import DEFECT, DPI, NORMAL, PALE, Canvas
from adbench.engine.pictures.heatmap_sheet import coverage, fitted, hatched, shrunk
from adbench.errors import DataError

if TYPE_CHECKING:
    from adbench.api.dataset import Dataset, Sample
    from adbench.engine.pictures.heatmap_sheet import Array

IMAGES_A_ROW = 6
_TILE, _GAP, _HEAD, _TITLE, _EDGE = 1.6, 0.12, 0.34, 0.5, 0.2
"""Inches: a picture, what lies between two, the line above a row, the title, the margin of the page."""
_OUTLINE = (0x22, 0xE6, 0xFF)


@dataclass(frozen=True)
class Strip:
    """The images of one part and one type of defect.

    Attributes:
        part: ``"train"`` or ``"test"``.
        defect: their type of defect.
        samples: all of them.
    """

    part: str
    defect: str
    samples: Sequence[Sample]

    @property
    def shown(self) -> list[Sample]:
        """Some of them, spread over all."""
        places = np.linspace(0, len(self.samples) - 1, min(IMAGES_A_ROW, len(self.samples)))
        return [self.samples[int(place)] for place in places.round()]


def rows_of(dataset: Dataset, category: str) -> list[Strip]:
    """The rows of a sheet: training images, normal test images, and each type of defect.

    Raises:
        UnknownName: no such category.
        DataError: the category cannot be read.
    """
    split = dataset.split(category)
    kinds = sorted({sample.defect for sample in split.test}, key=lambda kind: (kind != GOOD, kind))
    tested = [Strip("test", kind, [sample for sample in split.test if sample.defect == kind]) for kind in kinds]
    return [Strip("train", GOOD, split.train), *tested]


def contact_sheet(dataset: Dataset, category: str, path: Path) -> list[str]:
    """Draw a category's images: a row for each type of defect, with outlines of masks and the number of all images.

    Args:
        dataset: whose images are drawn, up to six of each type.
        category: one of its categories.
        path: the PNG that is written.

    Returns:
        What could not be read, a sentence each; the sheet has a gap there.

    Raises:
        DataError: the category cannot be read at all.
        StorageError: the file cannot be written.
    """
    rows = rows_of(dataset, category)
    width = 2 * _EDGE + IMAGES_A_ROW * (_TILE + _GAP) - _GAP
    page = Canvas(width, _TITLE + len(rows) * (_HEAD + _TILE + _GAP) + _EDGE)
    page.text(_EDGE, _TITLE / 2 + 0.05, f"{dataset.board_name}: {category}", 14, bold=True)
    problems: list[str] = []
    for place, row in enumerate(rows):
        problems += _draw_row(page, dataset, row, _TITLE + place * (_HEAD + _TILE + _GAP))
    page.save(path)
    return problems


def _draw_row(page: Canvas, dataset: Dataset, row: Strip, top: float) -> Iterator[str]:
    colour = NORMAL if row.defect == GOOD else DEFECT
    page.text(_EDGE, top + _HEAD / 2, f"{row.part}: {row.defect}, {len(row.samples)}", 11, color=colour, bold=True)
    for place, sample in enumerate(row.shown):
        left = _EDGE + place * (_TILE + _GAP)
        try:
            picture, remark = _picture(dataset, sample)
            page.picture(left, top + _HEAD, picture)
        except DataError as error:
            remark = "cannot be read"
            yield str(error)
        page.text(
            left, top + _HEAD + _TILE + 0.06, fitted(f"{sample.id.rpartition('/')[2]} {remark}", 26), 6.5, color=PALE
        )


def _picture(dataset: Dataset, sample: Sample) -> tuple[Array, str]:
    """An image at the size of a tile with the outline of its mask, and what is to be said of the mask."""
    image = dataset.image(sample)
    whole = image if image.dtype == np.uint8 else (np.clip(image, 0, 1) * 255).round().astype(np.uint8)
    small, ignored = np.array(shrunk(whole, round(_TILE * DPI))), dataset.ignored(sample)
    if ignored is not None:
        small = hatched(small, coverage(ignored, (small.shape[1], small.shape[0])) >= 0.5)
    mask = dataset.mask(sample) if sample.anomalous else None
    if mask is None:
        return small, "(no mask)" if sample.anomalous else ""
    small[_rim(coverage(mask, (small.shape[1], small.shape[0])) > 0)] = _OUTLINE
    return small, f"({100 * mask.mean():.2g} % marked)"


def _rim(mask: Array) -> Array:
    """[H, W] bool: the pixels around a mask."""
    from PIL import Image, ImageFilter

    grown = Image.fromarray(mask.astype(np.uint8) * 255).filter(ImageFilter.MaxFilter(3))
    around: Array = (np.asarray(grown) > 0) & ~mask
    return around
