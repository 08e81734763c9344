"""An explanation as a picture: the patch in its image beside the nearest normal patch in its own."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from adbench.detector.explain.parts import Nearest, PatchBox
from adbench.detector.pictures import eight_bits
from adbench.engine.pictures.canvas import DEFECT, DPI, NORMAL, PALE, Canvas
from adbench.engine.pictures.heatmap_sheet import fitted
from adbench.errors import printable

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 3.0
"""Inches of a crop."""
MARGIN, GAP, TOP, LINE = 0.2, 0.2, 0.9, 0.2
AROUND = 3.0
"""A crop reaches so many sides of a patch beyond the patch, on each side."""
LEAST = 48
"""Pixels of a crop's side, at least, as far as the image has them."""
FRAME = 3
"""Pixels of a frame's line."""
ROOM = 112
"""Characters of a line of text below the crops."""


def drawn(image: str, crop: np.ndarray, nearest: Nearest | None, sentences: Sequence[str]) -> Image:
    """The picture of an explanation.

    Args:
        image: the name of the image.
        crop: of its most anomalous patch.
        nearest: the nearest normal patch.
        sentences: the text below.
    """
    lines = [line for sentence in sentences for line in textwrap.wrap(printable(sentence), ROOM)]
    page = Canvas(2 * SIDE + GAP + 2 * MARGIN, TOP + SIDE + 0.15 + LINE * len(lines) + MARGIN)
    page.text(MARGIN, 0.25, fitted(printable(image), 60), 11, bold=True)
    right = MARGIN + SIDE + GAP
    page.text(MARGIN, 0.7, "most anomalous patch", 9, DEFECT, bold=True)
    page.text(right, 0.7, "nearest normal patch", 9, NORMAL, bold=True)
    page.picture(MARGIN, TOP, crop)
    _draw_nearest(page, right, nearest)
    for number, line in enumerate(lines):
        page.text(MARGIN, TOP + SIDE + 0.25 + LINE * number, line, 8)
    return page.image


def _draw_nearest(page: Canvas, left: float, nearest: Nearest | None) -> None:
    """The crop of the normal image, or the whole image where the place is not known, or an empty square."""
    if nearest is not None:
        page.text(left + SIDE, 0.7, fitted(printable(nearest.image.name), 24), 8, PALE, align="right")
    if nearest is not None and nearest.pixels is not None:
        height, width = nearest.pixels.shape[:2]
        whole = PatchBox(0.0, 0.0, float(width), float(height))
        frame = NORMAL if nearest.box is not None else None
        page.picture(left, TOP, crop_of(nearest.pixels, nearest.box or whole, frame))
        return
    side = round(SIDE * DPI)
    page.picture(left, TOP, np.full((side, side, 3), 236, np.uint8))
    page.text(left + 0.2, TOP + SIDE / 2, "no picture; the reason is below", 9, PALE)


def crop_of(pixels: np.ndarray, box: PatchBox, colour: str | None) -> np.ndarray:
    """A square part of an image around a patch, enlarged, with the patch framed [S, S, 3] uint8.

    Args:
        pixels: [H, W, 3].
        box: of the patch.
        colour: of the frame; None for the box itself, without a frame and without its surroundings.
    """
    from PIL import Image, ImageDraw

    top, left, side = _window(pixels.shape[:2], box, 0.0 if colour is None else AROUND)
    part = eight_bits(pixels[top : top + side, left : left + side])
    size = round(SIDE * DPI)
    scale = size / max(part.shape[:2])
    picture = Image.new("RGB", (size, size), "white")
    shape = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    picture.paste(Image.fromarray(part).resize(shape, Image.Resampling.BICUBIC), (0, 0))
    if colour is not None:
        corners = [scale * (box.left - left), scale * (box.top - top), scale * (box.right - left)]
        edges = (*corners, scale * (box.bottom - top))
        draw = ImageDraw.Draw(picture)
        draw.rectangle(_grown(edges, FRAME + 1), outline="white", width=FRAME + 2)
        draw.rectangle(_grown(edges, FRAME), outline=colour, width=FRAME)
    return np.asarray(picture)


def _grown(edges: tuple[float, ...], by: int) -> tuple[float, float, float, float]:
    """A rectangle around another one, so that its line hides nothing of what is inside."""
    left, top, right, bottom = edges
    return left - by, top - by, right + by, bottom + by


def _window(shape: tuple[int, ...], box: PatchBox, around: float) -> tuple[int, int, int]:
    """Top, left and side of a square around a patch; it is moved into the image as far as that holds it."""
    height, width = shape
    patch = max(box.right - box.left, box.bottom - box.top)
    least = min(LEAST, max(height, width)) if around else 1
    side = max(least, round(patch * (1 + 2 * around)))
    top, left = (box.top + box.bottom - side) / 2, (box.left + box.right - side) / 2
    return _inside(round(top), side, height), _inside(round(left), side, width), side


def _inside(start: int, side: int, length: int) -> int:
    return max(0, min(start, length - side))
