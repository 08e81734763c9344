"""What a detector says of one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from adbench.detector.fit.calibration import Calibration
from adbench.detector.fit.images import GivenImage
from adbench.detector.notebook import picture_html, table_html
from adbench.detector.pictures import eight_bits, heatmap
from adbench.engine.evaluate.anomaly_map import anomaly_map
from adbench.engine.evaluate.ignoring import lowest_where
from adbench.engine.pictures.heatmap_sheet import hatched
from adbench.engine.plan.map_spec import MapSpec
from adbench.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

    from adbench.api.geometry import Geometry
    from adbench.detector.explain.explaining import Explainer
    from adbench.detector.explain.explanation import Explanation


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a detector says of one image.

    Attributes:
        image: what it was made of.
        score: the image score; higher is more anomalous.
        patches: [h, w] float32 patch scores, or None for a method without a map.
        geometry: where the prepared image lies in the original.
        milliseconds: from file or array to score, the time of its batch divided by the batch's images.
        notes: in what the image differs from those that the detector learned from, a sentence each.
        calibration: of the detector when it was asked.
        spec: how patch scores become a map.
        white: the number that is white in images of more than 8 bits.
        explainer: explains the score.
        ignored: [H, W] bool, pixels that nobody looks at, or None; the map is lowest there.
    """

    image: GivenImage
    score: float
    patches: np.ndarray | None
    geometry: Geometry
    milliseconds: float
    notes: tuple[str, ...] = ()
    calibration: Calibration = field(repr=False, kw_only=True)
    spec: MapSpec = field(repr=False, kw_only=True)
    white: float | None = field(default=None, repr=False, kw_only=True)
    explainer: Explainer | None = field(default=None, repr=False, kw_only=True)
    ignored: np.ndarray | None = field(default=None, repr=False, kw_only=True)

    @property
    def name(self) -> str:
        """The file's path as it was given, or a number."""
        return self.image.name

    @cached_property
    def p_value(self) -> float | None:
        """The share of normal images that score as high, one counted in; None where no normal scores were made."""
        return self.calibration.p_value(self.score)

    @cached_property
    def threshold(self) -> float | None:
        """The score above which an image is called defective; None where there were too few normal images."""
        return self.calibration.threshold.value

    @property
    def is_anomalous(self) -> bool | None:
        """Whether the score is above the threshold; None without a threshold."""
        return None if self.threshold is None else self.score > self.threshold

    @cached_property
    def map(self) -> np.ndarray | None:
        """[H, W] float32: the anomaly map on the image's own pixels; None for a method without a map."""
        if self.patches is None:
            return None
        return lowest_where(anomaly_map(self.patches, self.geometry, self.spec), self.ignored)

    @property
    def mask(self) -> np.ndarray | None:
        """[H, W] bool: pixels above the pixel threshold; None without a map or a threshold."""
        limit = self.calibration.pixel_threshold
        if self.map is None or limit is None:
            return None
        marked: np.ndarray = self.map > limit
        return marked if self.ignored is None else marked & ~self.ignored

    def show(self) -> Image:
        """The image beside its anomaly map, for a notebook.

        Raises:
            UsageError: the method gives no map.
            BadImage: the file is not there any more.
        """
        from PIL import Image

        pixels, glowing = self.image.pixels(self.white), self.heatmap()
        if glowing is None:
            raise UsageError("this method gives image scores alone: there is no map to show")
        return Image.fromarray(np.concatenate([eight_bits(pixels), glowing], axis=1))

    def explain(self, normal: str | Path | Sequence[str | Path] = ()) -> Explanation:
        """Why the most anomalous patch scores as it does: the nearest normal patch, and the shares of the layers.

        Args:
            normal: folders in which to look for the images that the detector learned from, before the places where they
                were; a file is shown only if its content is the one that was learned from.

        Raises:
            UsageError: the method gives no patch scores, or nobody says which detector predicted this.
            BadImage: the image's file is not there any more.
        """
        if self.explainer is None:
            raise UsageError("this prediction does not know its detector; explain what Detector.predict gives")
        folders = [normal] if isinstance(normal, str | Path) else normal
        explainer = self.explainer.looking_in([Path(folder) for folder in folders])
        return explainer.explain(self.image, self.score, self.threshold, self.patches, self.geometry)

    def heatmap(self) -> np.ndarray | None:
        """[H, W, 3] uint8: the image in gray, glowing where the anomaly map is high; None for a method without a map.

        Ignored pixels are dim and hatched.

        Raises:
            BadImage: the file is not there any more.
        """
        if self.map is None:
            return None
        glowing = heatmap(self.image.pixels(self.white), self.map, self.calibration)
        return glowing if self.ignored is None else hatched(glowing, self.ignored)

    @property
    def verdict(self) -> str:
        """Whether it is defective, in a word or two."""
        return {True: "defective", False: "normal", None: "no threshold"}[self.is_anomalous]

    def _repr_html_(self) -> str:
        facts = {
            "score": f"{self.score:.6g}",
            "p-value": "none" if self.p_value is None else f"{self.p_value:.3g}",
            "threshold": "none" if self.threshold is None else f"{self.threshold:.6g}",
            "verdict": self.verdict,
            **{f"note {number}": note for number, note in enumerate(self.notes, 1)},
        }
        return table_html(self.name, facts) + ("" if self.map is None else picture_html(self.show()))
