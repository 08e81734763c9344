"""A sheet of heatmaps: what a method sees in the images that it finds most and least normal. For the eye only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from adbench.engine.page import DEFECT, INK, NORMAL, PALE, Page, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

PAIRS_A_ROW = 4
THUMBNAIL = 256
"""Longest side of what is held and drawn of an image, in pixels."""
_COLORMAP, _OPACITY = "inferno", 0.85
_OUTLINE, _OUTLINE_IN_TEXT = "#22E6FF", "#00A5BD"
"""A cyan that inferno does not have, and a darker one to be read on white."""


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
    """

    image: Array
    map: Array
    mask: Array | None
    title: str
    score: float
    anomalous: bool


def choose_extremes(scores: Array, labels: Array, count: int) -> list[int]:
    """The images most worth seeing: of normal and of defective ones, those with the lowest and the highest scores.

    Args:
        scores: [N] image scores.
        labels: [N] bool, True for a defect.
        count: at most so many; a quarter for each end of each class.

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


def thumbnail(panel: Panel) -> Panel:
    """The panel at the size it is drawn in, so that a sheet needs little memory. A defect never shrinks to nothing."""
    from PIL import Image

    height, width = panel.image.shape[:2]
    shrink = min(1.0, THUMBNAIL / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    heat = Image.fromarray(panel.map.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
    return replace(
        panel,
        image=np.asarray(Image.fromarray(panel.image).resize(size, Image.Resampling.BOX)),
        map=np.asarray(heat),
        mask=None if panel.mask is None else _touched(panel.mask, size),
    )


def _touched(mask: Array, size: tuple[int, int]) -> Array:
    """[h, w] bool: the pixels of a smaller grid that hold any part of the mask."""
    from PIL import Image

    coverage = Image.fromarray(mask.astype(np.float32)).resize(size, Image.Resampling.BOX)
    return np.asarray(coverage) > 0


def display_range(maps: Sequence[Array]) -> tuple[float, float]:
    """The scores that get the darkest and the brightest colour on every panel alike.

    From the median of the medians, which is what a normal place looks like, to the 95 % quantile of the maxima, so that
    one wild map does not darken all others.
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
        """The largest box of the image's proportions inside, centred."""
        height, width = image.shape[:2]
        scale = min(self.width / width, self.height / height)
        slack_x, slack_y = self.width - width * scale, self.height - height * scale
        return _Box(self.left + slack_x / 2, self.top + slack_y / 2, width * scale, height * scale)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """As matplotlib wants it on a page whose y axis points down."""
        return (self.left, self.left + self.width, self.top + self.height, self.top)


@dataclass
class _Layout:
    """Where everything goes, in inches; every tile has the same size."""

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
        """A heading and rows of panels, nothing where there are none."""
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
    page = Page(layout.width, layout.top + 0.1)
    page.text(layout.left, 0.36, title or "Lowest and highest scores of each class", size=14, weight="bold")
    page.text(layout.left, 0.66, "image and anomaly map, by ascending image score", size=9, color=PALE)
    page.text(layout.left + 3.5, 0.66, "— annotated defect", size=9, color=_OUTLINE_IN_TEXT, weight="bold")
    for top, heading, colour in layout.headings:
        page.text(layout.left, top, heading, size=11, weight="bold", color=colour)
    for left, top, panel in layout.places:
        _draw_pair(page, layout, left, top, panel, limits)
    _draw_colour_bar(page, layout, limits)
    save(page.figure, path)


def _laid_out(panels: Sequence[Panel]) -> _Layout:
    """Tiles of equal area whatever the images' usual proportions."""
    aspect = float(np.clip(np.median([panel.image.shape[1] / panel.image.shape[0] for panel in panels]), 0.5, 2))
    layout = _Layout(tile_width=1.45 * aspect**0.5, tile_height=1.45 / aspect**0.5)
    layout.add("Normal images", NORMAL, [panel for panel in panels if not panel.anomalous])
    layout.add("Defective images", DEFECT, [panel for panel in panels if panel.anomalous])
    return layout


def _draw_pair(page: Page, layout: _Layout, left: float, top: float, panel: Panel, limits: tuple[float, float]) -> None:
    score = f"{panel.score:.4g}"
    room = int(layout.pair_width * 72 / 4.8) - len(score) - 2
    middle = top - layout.caption / 2 + 0.02
    page.text(left, middle, _fitted(panel.title, room), size=8)
    page.text(left + layout.pair_width, middle, score, size=8, weight="bold", ha="right")
    box = _Box(left, top, layout.tile_width, layout.tile_height).fitted(panel.image)
    _place(page.ground, panel.image, box)
    box = replace(box, left=box.left + layout.tile_width + layout.inner)
    _place(page.ground, overlay(panel.image, panel.map, limits), box)
    if panel.mask is not None and panel.mask.any():
        _outline(page.ground, panel.mask, box)


def _place(ground: Axes, image: Array, box: _Box) -> None:
    left, right, bottom, top = box.extent
    ground.imshow(image, extent=(left, right, bottom, top), interpolation="bilinear", aspect="auto", origin="upper")


def overlay(image: Array, heat: Array, limits: tuple[float, float]) -> Array:
    """[H, W, 3] float in [0, 1]: the image in gray, glowing where the map is high, untouched where it is low."""
    low, high = limits
    level = np.clip((heat.astype(np.float64) - low) / (high - low), 0, 1)
    return _glow(image.astype(np.float64) @ [0.299, 0.587, 0.114] / 255, level)


def _glow(gray: Array, level: Array) -> Array:
    import matplotlib as mpl

    opacity = _OPACITY * np.sqrt(level)[..., None]
    colour = mpl.colormaps[_COLORMAP](level)[..., :3]
    mixed: Array = (1 - opacity) * gray[..., None] + opacity * colour
    return mixed


def _outline(ground: Axes, mask: Array, box: _Box) -> None:
    """The mask's border, dark below and bright above, so that it is seen on any ground."""
    height, width = mask.shape
    x = box.left + (np.arange(-1, width + 1) + 0.5).clip(0, width) * box.width / width
    y = box.top + (np.arange(-1, height + 1) + 0.5).clip(0, height) * box.height / height
    closed = np.pad(mask.astype(np.float32), 1)
    for colour, thickness in (("black", 2.2), (_OUTLINE, 1.0)):
        ground.contour(x, y, closed, [0.5], colors=[colour], linewidths=thickness)


def _draw_colour_bar(page: Page, layout: _Layout, limits: tuple[float, float]) -> None:
    """The colours as they look on a medium gray image, with the scores they stand for."""
    first = min(top for _, top, _ in layout.places)
    last = max(top for _, top, _ in layout.places) + layout.tile_height
    axes = page.axes(layout.width - layout.right + 0.02, first, 0.16, min(last - first, 3.2))
    level = np.linspace(0, 1, 256)[:, None]
    axes.imshow(_glow(np.full((256, 1), 0.5), level), aspect="auto", origin="lower", extent=(0, 1, *limits))
    axes.yaxis.tick_right()
    ticks = np.linspace(*limits, 5)
    axes.set_yticks(ticks, [f"{value:.3g}" for value in ticks])
    axes.tick_params(labelsize=8, colors=INK, length=2)
    axes.set_title("score", fontsize=8, color=INK, loc="left", pad=7)


def _fitted(text: str, room: int) -> str:
    """The end of a text, which tells images apart, where there is no room for the whole."""
    return text if len(text) <= room else "…" + text[len(text) - room + 1 :]
