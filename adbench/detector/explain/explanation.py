"""What an explanation says of one image, as an object, as a picture and as JSON."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from adbench.detector.explain.drawing import crop_of, drawn
from adbench.engine.pictures.canvas import DEFECT

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    from adbench.api.comparisons.patch import PatchPlace
    from adbench.detector.explain.parts import Mode, Nearest, PatchBox


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why the most anomalous patch of an image scores as it does.

    Attributes:
        image: the name of the image.
        score: the image score.
        threshold: on image scores; None without one.
        place: of the patch in the patch grid.
        box: its pixels.
        patch_score: its score.
        distance: from the patch to the nearest normal content: Euclidean, Mahalanobis or cosine, never squared; None
            where the scorer does not say.
        nearest: the nearest normal patch; None where the bank keeps no patches.
        layers: by layer its share in the squared distance, together 1; None where layers have no shares.
        modes: the modes with the largest shares, the largest first; None where there are no modes.
        notes: what is missing, and why, a sentence each.
        pixels: [H, W, 3], the image.
    """

    image: str
    score: float
    threshold: float | None
    place: PatchPlace
    box: PatchBox
    patch_score: float
    distance: float | None
    nearest: Nearest | None
    layers: Mapping[str, float] | None
    modes: Sequence[Mode] | None
    notes: tuple[str, ...]
    pixels: np.ndarray = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """As ``predictions.jsonl`` has it; boxes are left, top, right and bottom in pixels."""
        row, column, rows, columns, _ = self.place
        return {
            "patch": {"row": row, "column": column, "rows": rows, "columns": columns, "score": self.patch_score},
            "box": self.box.rounded,
            "distance": self.distance,
            "threshold": self.threshold,
            "nearest": None if self.nearest is None else self.nearest.to_json(),
            "layers": None if self.layers is None else dict(self.layers),
            "modes": None if self.modes is None else [mode._asdict() for mode in self.modes],
            "notes": list(self.notes),
        }

    def show(self) -> Image:
        """The patch in its image beside the nearest normal patch in its own, each framed."""
        return drawn(self.image, crop_of(self.pixels, self.box, DEFECT), self.nearest, self.sentences)

    @property
    def sentences(self) -> list[str]:
        """The figures, the shares and the notes, a line each."""
        limit = "none" if self.threshold is None else f"{self.threshold:.4g}"
        distance = "" if self.distance is None else f"distance {self.distance:.4g}; "
        figures = f"patch score {self.patch_score:.4g}; image score {self.score:.4g}, threshold {limit}"
        lines = [f"{distance}{figures}"]
        if self.layers is not None:
            lines.append("layers: " + ", ".join(f"{name} {share:.0%}" for name, share in self.layers.items()))
        if self.modes is not None:
            lines.append("largest shares: " + ", ".join(f"mode {number} {share:.0%}" for number, share in self.modes))
        return [*lines, *self.notes]

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.show().save(file, format="PNG")
        return file.getvalue()
