"""A canvas for pictures, and its colours. It does not touch pyplot's global state.

matplotlib draws plots. Pillow puts photographs and captions on a `Canvas`, in a tenth of the time.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from adbench.engine.store.record import storage_errors

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

NORMAL, DEFECT = "#0072B2", "#D55E00"
"""Okabe and Ito's blue and vermillion, which are distinct for colour-blind readers too."""
INK, PALE = "#222222", "#8A8A8A"
DPI = 120
_QUICK = 1
"""zlib's level: a third of the usual time for a tenth more bytes."""


class Canvas:
    """A canvas with coordinates in inches from its top left corner.

    Args:
        width, height: in inches.
    """

    def __init__(self, width: float, height: float) -> None:
        from PIL import Image, ImageDraw

        self._image = Image.new("RGB", (_pixels(width), _pixels(height)), "white")
        self._draw = ImageDraw.Draw(self._image)

    def text(
        self,
        left: float,
        middle: float,
        text: str,
        size: float,
        color: str = INK,
        *,
        bold: bool = False,
        align: Literal["left", "right"] = "left",
    ) -> None:
        """Write a line of text, `size` in points; `left` is its right end if it is aligned to the right."""
        place = left * DPI, middle * DPI
        self._draw.text(place, text, fill=color, font=_font(size, bold=bold), anchor="lm" if align == "left" else "rm")

    def line(self, left: float, top: float, right: float, bottom: float) -> None:
        """Draw a thin line."""
        self._draw.line([(_pixels(left), _pixels(top)), (_pixels(right), _pixels(bottom))], fill=INK)

    def picture(self, left: float, top: float, picture: np.ndarray) -> None:
        """Paste a picture [H, W, 3] uint8, pixel by pixel."""
        from PIL import Image

        self._image.paste(Image.fromarray(picture), (_pixels(left), _pixels(top)))

    def tint(self, left: float, top: float, color: str, cover: np.ndarray) -> None:
        """Cover pixels with a colour, with opacity [H, W] from 0 to 1; it may reach beyond the canvas."""
        from PIL import Image

        mask = Image.fromarray((255 * cover).astype(np.uint8))
        self._image.paste(color, (_pixels(left), _pixels(top)), mask)

    @property
    def image(self) -> Image:
        """The picture so far."""
        return self._image

    def save(self, path: Path) -> None:
        """Write a PNG.

        Raises:
            StorageError: the file cannot be written.
        """
        with storage_errors(path):
            self._image.save(path, format="PNG", dpi=(DPI, DPI), compress_level=_QUICK)


def _pixels(inches: float) -> int:
    return round(inches * DPI)


@lru_cache(maxsize=16)
def _font(size: float, *, bold: bool) -> FreeTypeFont:
    """The font DejaVu Sans, which comes with matplotlib."""
    from matplotlib import get_data_path
    from PIL import ImageFont

    file = Path(get_data_path(), "fonts", "ttf", "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")
    return ImageFont.truetype(file, size * DPI / 72, layout_engine=ImageFont.Layout.BASIC)


def new_figure(width: float, height: float) -> Figure:
    """A white figure with a size in inches, outside pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG without date and name of the software, so equal pictures are equal files.

    Raises:
        StorageError: the file cannot be written.
    """
    with storage_errors(path):
        settings: dict[str, Any] = {"metadata": {"Software": None}, "pil_kwargs": {"compress_level": _QUICK}}
        figure.savefig(path, format="png", dpi=DPI, **settings)


def tidy_axes(axes: Axes, title: str, x: str, y: str) -> None:
    """Set a plot's title and labels, a light grid, and no frame."""
    axes.set_title(title, loc="left", y=1.0, fontsize=12, fontweight="bold", color=INK)
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.tick_params(colors=INK, labelsize=9)
    axes.grid(visible=True, color="#E6E6E6", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
