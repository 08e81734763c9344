"""White pages for pictures, and the colours on them. Nothing here touches pyplot's global state."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from adbench.engine.record import storage_errors

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NORMAL, DEFECT = "#0072B2", "#D55E00"
"""Okabe and Ito's blue and vermillion, which nobody confuses."""
INK, PALE = "#222222", "#8A8A8A"
DPI = 120


class Page:
    """A figure that is addressed in inches from its top left corner.

    Args:
        width, height: in inches.
    """

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.figure = new_figure(width, height)
        self.ground = self.axes(0, 0, width, height)
        self.ground.set(xlim=(0, width), ylim=(height, 0))
        self.ground.set_axis_off()

    def text(self, left: float, top: float, text: str, **style: Any) -> None:
        """A line of text, never read as a formula; `top` is its middle."""
        self.ground.text(left, top, text, **{"color": INK, "va": "center", "parse_math": False, **style})

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes without ticks and frame."""
        box = (left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height)
        axes = self.figure.add_axes(box, xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set_visible(False)
        return axes


def new_figure(width: float, height: float) -> Figure:
    """A white page of so many inches that belongs to nobody's pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a PNG without the date and the name of the software, so that the same picture is the same file.

    Raises:
        StorageError: the file cannot be written.
    """
    with storage_errors(path):
        figure.savefig(path, format="png", dpi=DPI, metadata={"Software": None})


def tidy_axes(axes: Axes, title: str, x: str, y: str) -> None:
    """A plot's title and labels, a light grid, and no frame."""
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=INK)
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.tick_params(colors=INK, labelsize=9)
    axes.grid(visible=True, color="#E6E6E6", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
