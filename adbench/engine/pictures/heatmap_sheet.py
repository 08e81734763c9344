"""A sheet of heatmaps: the images with the highest and lowest scores, and their anomaly maps, for display only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from adbench.engine.pictures.canvas import DEFECT, DPI, NORMAL, PALE, Canvas

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

PAIRS_A_ROW = 4
THUMBNAIL = 256
"""Longest side of a thumbnail in pixels."""
_COLORMAP, _OPACITY = "inferno", 0.85
_OUTLINE, _OUTLINE_IN_TEXT = "#22E6FF", "#00A5BD"
"""A cyan that inferno does not contain, and a darker one that is readable on white."""
_OBJECT, _OBJECT_IN_TEXT = "#7CFC00", "#3F8F00"
"""The colour of the masker's foreground on the image, and a darker one for text."""
_HATCH, _DIM, _LINE = 7, 40, 170
"""Least pixels between two oblique lines on ignored pixels, what is added to their dim level, and the lines' level."""
_FINE, _MARGIN = 2, 3
"""Outlines use a grid `_FINE` times finer than the page, with a margin of `_MARGIN` pixels of the page."""


@dataclass(frozen=True)
class Panel:
    """One image of a sheet.

    Attributes:
        image: [H, W, 3] uint8.
        map: [h, w] float32 anomaly map of the whole image, of any size.
        mask: [h, w] bool, of any size, or None where there is no annotation.
        title: the image's name.
        score: its image score.
        anomalous: whether it shows a defect.
        foreground: [h, w] bool, of any size, where the method saw the object, or None where it masked nothing.
        ignored: [h, w] bool, of any size, pixels that nobody looks at, or None for none.
    """

    image: Array
    map: Array
    mask: Array | None
    title: str
    score: float
    anomalous: bool
    foreground: Array | None = None
    ignored: Array | None = None

    @property
    def masked(self) -> bool:
        """Whether the masker left out a part of the image, but not all of it: then the foreground has an outline."""
        return self.foreground is not None and bool(self.foreground.any()) and not bool(self.foreground.all())


def choose_extremes(scores: Array, labels: Array, count: int) -> list[int]:
    """The normal and the defective images with the lowest and the highest scores.

    Args:
        scores: [N] image scores.
        labels: [N] bool, True for a defect.
        count: largest number of images; a quarter for each end of each class.

    Returns:
        Indices, normal images first, each class by ascending score; ties in the order of the images.
    """
    chosen: list[int] = []
    for label in (False, True):
        ascending = [int(index) for index in np.argsort(scores, kind="stable") if bool(labels[index]) is label]
        quarter = count // 4
        middle = slice(quarter, max(quarter, len(ascending) - quarter))
        del ascending[middle]
        chosen += ascending
    return chosen


def shrunk(image: Array, longest: int = THUMBNAIL) -> Array:
    """[h, w, 3] uint8: an image whose longest side has at most so many pixels."""
    from PIL import Image

    height, width = image.shape[:2]
    shrink = min(1.0, longest / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX, reducing_gap=2))


def thumbnail(panel: Panel) -> Panel:
    """A panel in the size of a thumbnail, which needs little memory. A defect keeps at least one pixel."""
    image = shrunk(panel.image)
    height, width = image.shape[:2]
    mask = None if panel.mask is None else coverage(panel.mask, (width, height)) > 0
    foreground = None if panel.foreground is None else coverage(panel.foreground, (width, height)) >= 0.5
    heat = _resized(panel.map.astype(np.float32), (height, width))
    ignored = None if panel.ignored is None else coverage(panel.ignored, (width, height)) >= 0.5
    return replace(panel, image=image, map=heat, mask=mask, foreground=foreground, ignored=ignored)


def coverage(mask: Array, size: tuple[int, int]) -> Array:
    """[h, w] float32: how much of the pixels of a smaller grid belongs to the mask."""
    from PIL import Image

    return np.asarray(Image.fromarray(mask.astype(np.float32)).resize(size, Image.Resampling.BOX))


def display_range(maps: Sequence[Array]) -> tuple[float, float]:
    """The scores of the darkest and the brightest colour, for all panels.

    They are the median of the medians, a typical normal score, and the 95 % quantile of the maxima, so that one extreme
    map does not darken all others.
    """
    low = float(np.median([np.median(heat) for heat in maps]))
    high = float(np.quantile([heat.max() for heat in maps], 0.95))
    return (low, high) if high > low else (low, low + 1.0)


@dataclass(frozen=True)
class _Box:
    """A rectangle on the page, in inches from the top left."""

    left: float
    top: float
    width: float
    height: float

    def fitted(self, image: Array) -> _Box:
        """The largest centred box inside with the image's aspect ratio."""
        height, width = image.shape[:2]
        scale = min(self.width / width, self.height / height)
        slack_x, slack_y = self.width - width * scale, self.height - height * scale
        return _Box(self.left + slack_x / 2, self.top + slack_y / 2, width * scale, height * scale)

    @property
    def pixels(self) -> tuple[int, int]:
        """Height and width on the page, at least one."""
        return max(1, round(self.height * DPI)), max(1, round(self.width * DPI))


@dataclass
class _Layout:
    """The layout of the sheet in inches; every tile has the same size."""

    tile_width: float
    tile_height: float
    top: float = 0.86
    places: list[tuple[float, float, Panel]] = field(default_factory=list)
    headings: list[tuple[float, str, str]] = field(default_factory=list)

    left, gap, inner, caption, heading, right = 0.3, 0.22, 0.04, 0.22, 0.4, 0.95

    @property
    def pair_width(self) -> float:
        return 2 * self.tile_width + self.inner

    @property
    def width(self) -> float:
        return self.left + PAIRS_A_ROW * (self.pair_width + self.gap) + self.right

    def add(self, heading: str, colour: str, panels: Sequence[Panel]) -> None:
        """Add a heading and rows of panels, or nothing without panels."""
        if not panels:
            return
        self.headings.append((self.top + self.heading / 2 + 0.05, heading, colour))
        self.top += self.heading
        for start in range(0, len(panels), PAIRS_A_ROW):
            for column, panel in enumerate(panels[start : start + PAIRS_A_ROW]):
                self.places.append((self.left + column * (self.pair_width + self.gap), self.top + self.caption, panel))
            self.top += self.caption + self.tile_height + 0.1
        self.top += 0.1


def sheet(panels: Sequence[Panel], path: Path, title: str = "", limits: tuple[float, float] | None = None) -> None:
    """Draw image and heatmap of every panel, normal images first, each class by ascending score.

    Args:
        panels: at least one.
        path: the PNG file.
        title: the heading.
        limits: scores of the darkest and the brightest colour; default `display_range` of the panels.

    Raises:
        StorageError: the file cannot be written.
    """
    small = sorted(map(thumbnail, panels), key=lambda panel: panel.score)
    limits = limits or display_range([panel.map for panel in small])
    layout = _laid_out(small)
    page = Canvas(layout.width, layout.top + 0.1)
    page.text(layout.left, 0.36, title or "Lowest and highest scores of each class", 14, bold=True)
    page.text(layout.left, 0.66, "image and anomaly map, by ascending image score", 9, PALE)
    page.text(layout.left + 3.5, 0.66, "— annotated defect", 9, _OUTLINE_IN_TEXT, bold=True)
    next_entry = layout.left + 5.2
    if any(panel.masked for panel in small):
        page.text(next_entry, 0.66, "— the masker's foreground", 9, _OBJECT_IN_TEXT, bold=True)
        next_entry += 2.2
    if any(panel.ignored is not None for panel in small):
        page.text(next_entry, 0.66, "/// ignored pixels", 9, PALE, bold=True)
    for top, heading, colour in layout.headings:
        page.text(layout.left, top, heading, 11, colour, bold=True)
    for left, top, panel in layout.places:
        _draw_pair(page, layout, left, top, panel, limits)
    _draw_colour_bar(page, layout, limits)
    page.save(path)


def _laid_out(panels: Sequence[Panel]) -> _Layout:
    """The layout of panels, with tiles of equal area for any aspect ratio."""
    aspect = float(np.clip(np.median([panel.image.shape[1] / panel.image.shape[0] for panel in panels]), 0.5, 2))
    layout = _Layout(tile_width=1.45 * aspect**0.5, tile_height=1.45 / aspect**0.5)
    layout.add("Normal images", NORMAL, [panel for panel in panels if not panel.anomalous])
    layout.add("Defective images", DEFECT, [panel for panel in panels if panel.anomalous])
    return layout


def _draw_pair(
    page: Canvas, layout: _Layout, left: float, top: float, panel: Panel, limits: tuple[float, float]
) -> None:
    score = f"{panel.score:.4g}"
    room = int(layout.pair_width * 72 / 4.8) - len(score) - 2
    middle = top - layout.caption / 2
    page.text(left, middle, fitted(panel.title, room), 8)
    page.text(left + layout.pair_width, middle, score, 8, bold=True, align="right")
    box = _Box(left, top, layout.tile_width, layout.tile_height).fitted(panel.image)
    image = _resized(panel.image, box.pixels)
    page.picture(box.left, box.top, _hatched_where(panel, image))
    if panel.foreground is not None and panel.masked:
        _outline(page, panel.foreground, box, _OBJECT)
    box = replace(box, left=box.left + layout.tile_width + layout.inner)
    heat = _resized(panel.map, box.pixels)
    page.picture(box.left, box.top, _hatched_where(panel, _bytes(overlay(image, heat, limits))))
    if panel.mask is not None and panel.mask.any():
        _outline(page, panel.mask, box, _OUTLINE)


def _hatched_where(panel: Panel, picture: Array) -> Array:
    """A picture of a panel [H, W, 3] uint8, hatched on ignored pixels."""
    if panel.ignored is None:
        return picture
    ignored: Array = _resized(panel.ignored.astype(np.float32), picture.shape[:2]) >= 0.5
    return hatched(picture, ignored)


def hatched(picture: Array, ignored: Array) -> Array:
    """A picture [H, W, 3] uint8 whose ignored pixels [H, W] bool are dim and crossed by oblique lines."""
    height, width = ignored.shape
    distance = max(_HATCH, max(height, width) // 40)
    rows, columns = np.ogrid[:height, :width]
    lines = (rows + columns) % distance < max(1, distance // 6)
    found: Array = picture.copy()
    found[ignored] = found[ignored] // 3 + np.uint8(_DIM)
    found[ignored & lines] = _LINE
    return found


def _resized(picture: Array, size: tuple[int, int]) -> Array:
    from PIL import Image

    return np.asarray(Image.fromarray(picture).resize(size[::-1], Image.Resampling.BILINEAR))


def overlay(image: Array, heat: Array, limits: tuple[float, float]) -> Array:
    """[H, W, 3] float in [0, 1]: the image in gray, with the colours of the map where scores are high."""
    low, high = limits
    level = np.clip((heat.astype(np.float64) - low) / (high - low), 0, 1)
    return _glow(image.astype(np.float64) @ [0.299, 0.587, 0.114] / 255, level)


def _glow(gray: Array, level: Array) -> Array:
    colours, opacity = glow(level)
    mixed: Array = (1 - opacity) * gray[..., None] + opacity * colours
    return mixed


def glow(level: Array) -> tuple[Array, Array]:
    """The colours [H, W, 3] of a level [H, W] from 0 to 1, and their opacity [H, W, 1]."""
    return _colours()[(level * 255).astype(np.uint8)], _OPACITY * np.sqrt(level)[..., None]


@cache
def _colours() -> Array:
    """The colour map [256, 3], from 0 to 1: matplotlib's own numbers, whose import takes a third of a second."""
    colours: Array = np.loadtxt(Path(__file__).with_name(f"{_COLORMAP}.csv"), delimiter=",")
    return colours


def _bytes(picture: Array) -> Array:
    whole: Array = (255 * picture).round().astype(np.uint8)
    return whole


def _outline(page: Canvas, mask: Array, box: _Box, bright: str) -> None:
    """Draw the mask's border, a bright line on a dark one, which is visible on any background."""
    from scipy.ndimage import distance_transform_edt

    height, width = box.pixels
    fine = _resized(mask.astype(np.float32), (_FINE * height, _FINE * width)) > 0.2  # keeps a single pixel
    rows, columns = (_reach(np.asarray(fine.any(axis=axis))) for axis in (1, 0))
    inside = np.pad(fine, _FINE * _MARGIN)[rows, columns]
    distance = np.where(inside, distance_transform_edt(inside), distance_transform_edt(~inside)) - 0.5
    distance = distance.reshape(len(inside) // _FINE, _FINE, -1, _FINE).mean(axis=(1, 3)) / _FINE
    left, top = ((start // _FINE - _MARGIN) / DPI for start in (columns.start, rows.start))
    for colour, thickness in (("black", 2.4), (bright, 1.2)):
        cover = np.clip(thickness * DPI / 72 / 2 + 0.5 - distance, 0, 1)
        page.tint(box.left + left, box.top + top, colour, cover)


def _reach(marked: Array) -> slice:
    """The range of marked fine pixels with a margin, in whole pixels of the page."""
    places = np.flatnonzero(marked)
    return slice(places[0] // _FINE * _FINE, (places[-1] // _FINE + 1 + 2 * _MARGIN) * _FINE)


def _draw_colour_bar(page: Canvas, layout: _Layout, limits: tuple[float, float]) -> None:
    """Draw the colour bar on medium gray, with its scores."""
    first = min(top for _, top, _ in layout.places)
    last = max(top for _, top, _ in layout.places) + layout.tile_height
    bar = _Box(layout.width - layout.right + 0.02, first, 0.16, min(last - first, 3.2))
    height, width = bar.pixels
    level = np.linspace(1, 0, height)[:, None].repeat(width, axis=1)
    page.picture(bar.left, bar.top, _bytes(_glow(np.full(level.shape, 0.5), level)))
    page.text(bar.left, bar.top - 0.14, "score", 8)
    right = bar.left + bar.width
    for share, score in zip(np.linspace(1, 0, 5), np.linspace(*limits, 5), strict=True):
        middle = bar.top + float(share) * bar.height
        page.line(right, middle, right + 0.03, middle)
        page.text(right + 0.07, middle, f"{score:.3g}", 8)


def fitted(text: str, room: int) -> str:
    """The end of a text, which tells images apart, where there is no room for the whole."""
    return text if len(text) <= room else "…" + text[len(text) - room + 1 :]
