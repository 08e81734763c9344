"""The bank of flows on single vectors, conditioned on their place (CFLOW-AD)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from adbench import Field
from adbench_flow.trained import Shape, TrainedEnergy

if TYPE_CHECKING:
    from adbench_flow.density import Density


class CFlow(TrainedEnergy):
    """Flows on single feature vectors that know their place in the image (CFLOW-AD, arXiv 2107.12571).

    One flow for each layer, conditioned on the sinusoidal code of the place. A place's energy is its negative
    log-likelihood a channel, the mean over the layers on the finest grid. It is taken before the exponentials and
    maxima over the test set, or over the batch, by which the authors' code and anomalib scale it: so an image has the
    same scores whatever it is scored with.
    """

    name: ClassVar[str] = "cflow"

    class Config(TrainedEnergy.Config):
        """Options."""

        blocks: int = Field(8, ge=1, description="coupling blocks of a layer's flow")
        condition: int = Field(128, ge=4, multiple_of=4, description="length of a place's code")
        clamp: float = Field(1.9, gt=0, description="bound of a block's log scales")
        vectors: int = Field(1024, ge=1, description="vectors of a step and layer, drawn of the step's images")
        rate: float = Field(2e-4, gt=0, description="learning rate of Adam")

    config: Config

    def density(self, shapes: Sequence[Shape]) -> Density:
        from adbench_flow.vectors_flow import VectorsFlow

        options = self.config
        return VectorsFlow(shapes, options.blocks, options.condition, options.clamp, options.vectors)
