"""The rule that makes an anomaly map of patch scores: the `map` of a recipe."""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple, cast

from pydantic import field_validator, model_validator

from adbench.api.component import Config, Field
from adbench.api.maps.enlarging import Border

Operation = Literal["erode", "dilate", "open", "close"]


_STEPS: dict[Operation, tuple[bool, ...]] = {
    "erode": (False,),
    "dilate": (True,),
    "open": (False, True),
    "close": (True, False),
}
"""The steps of each operation: True takes the highest score of the neighbourhood, False the lowest."""


MAX_SIDE = 999


class Morphology(NamedTuple):
    """The non-linear steps of a map.

    Attributes:
        floor: lower scores are raised to it; None for none.
        operation: of morphology, or None.
        side: of the square neighbourhood in pixels, odd.
    """

    floor: float | None = None
    operation: Operation | None = None
    side: int = 1

    @staticmethod
    def parse(text: str) -> tuple[Operation, int]:
        """The operation and the side of a text such as ``open:5``.

        Raises:
            ValueError: the text has another form; the message shows the right one.
        """
        match = re.fullmatch(r"([a-z]+):([0-9]{1,3})", text)
        if match is None or match[1] not in _STEPS or int(match[2]) % 2 == 0 or int(match[2]) < 3:
            raise ValueError(f"write {', '.join(_STEPS)} with the odd side of a square, 3 to {MAX_SIDE}: open:5")
        return cast("Operation", match[1]), int(match[2])


Upsample = Literal["bilinear", "bilinear-corners", "nearest"]


_LATER = {"kernel", "floor", "morphology"}
"""Options that older records do not have: they are part of the identity only if they are set, so ids stay."""


class MapSpec(Config):
    """The rule that makes a map of patch scores: the ``map`` of a recipe. The defaults are PatchCore's.

    Smoothed ``at: input``, scores go through the grid of the prepared image, and sigma counts its pixels. Smoothed
    ``at: evaluation``, they go straight to the evaluation grid, and sigma counts that grid's pixels (AnomalyDINO).
    Floor and morphology work on the evaluation grid, whose pixels they count, on the part that the model saw.
    """

    upsample: Upsample = Field(
        "bilinear",
        description="from patches to pixels; with 'bilinear-corners' the outermost centres meet (align_corners: MuSc,"
        " APRIL-GAN); anomalib's PatchCore takes nearest",
    )
    sigma: float = Field(4.0, ge=0, le=1000, description="standard deviation of the Gaussian in pixels; 0 for none")
    at: Literal["input", "evaluation"] = Field("input", description="the grid that is smoothed")
    border: Border = Field(
        "symmetric", description="beyond the border: the edge repeated (SciPy) or not (reflect: PyTorch, anomalib)"
    )
    kernel: int | None = Field(
        None, ge=3, le=999, description="side of the Gaussian's kernel in pixels, odd; none: 4 sigmas each way"
    )
    floor: float | None = Field(
        None, allow_inf_nan=False, description="raw scores below it are raised to it: a threshold that keeps the order"
    )
    morphology: str | None = Field(
        None,
        description="flat grey morphology with a square of so many pixels: erode:N, dilate:N, open:N or close:N, N odd",
    )

    @field_validator("morphology")
    @classmethod
    def _known_morphology(cls, text: str | None) -> str | None:
        if text is not None:
            Morphology.parse(text)
        return text

    @model_validator(mode="after")
    def _whole_kernel(self) -> MapSpec:
        if self.kernel is not None and (self.kernel % 2 == 0 or self.sigma == 0):
            raise ValueError("kernel is the odd side of the Gaussian; give an odd number, and a sigma above 0")
        return self

    def identity(self) -> dict[str, Any]:
        """The identity of the map, as JSON; later options are part of it only if they are set."""
        fields: dict[str, Any] = self.model_dump(mode="json")
        return {name: value for name, value in fields.items() if name not in _LATER or value is not None}

    @property
    def shaping(self) -> Morphology | None:
        """The non-linear steps; None for none."""
        if self.floor is None and self.morphology is None:
            return None
        return Morphology(self.floor, *(Morphology.parse(self.morphology) if self.morphology else ()))
