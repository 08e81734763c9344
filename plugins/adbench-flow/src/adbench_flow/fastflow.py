"""The bank of two-dimensional flows over feature maps (FastFlow)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from adbench import Field, UsageError
from adbench_flow.trained import Shape, TrainedEnergy

if TYPE_CHECKING:
    from adbench_flow.density import Density


class FastFlow(TrainedEnergy):
    """Two-dimensional flows over feature maps, one for each layer (FastFlow, arXiv 2111.07677).

    Each map is normalised over all its values, and a chain of affine couplings by convolutions makes it a normally
    distributed code z of the same shape. The loss is the negative log-likelihood of the map. A place's energy is
    -exp(-mean z^2 / 2), the mean over the layers on the finest grid, as the authors' formula is implemented by others.
    """

    name: ClassVar[str] = "fastflow"

    class Config(TrainedEnergy.Config):
        """Options."""

        blocks: int = Field(8, ge=1, description="coupling blocks of a layer's flow")
        kernels: Literal["3", "3-1"] = Field(
            "3-1", description="side of the blocks' convolutions: 3 and 1 in turn, or always 3"
        )
        ratio: float = Field(1.0, gt=0, description="hidden channels of a block by those that it reads")
        clamp: float = Field(2.0, gt=0, description="bound of a block's log scales")
        energy: Literal["probability", "squares"] = Field(
            "probability", description="-exp(-mean z^2 / 2), as published, or mean z^2 / 2, which never saturates"
        )
        decay: float = Field(1e-5, ge=0, description="weight decay of Adam")

    config: Config

    def density(self, shapes: Sequence[Shape]) -> Density:
        from adbench_flow.maps_flow import MapsFlow

        options = self.config
        if any(channels < 2 for channels, _, _ in shapes):
            raise UsageError(
                f"{self.title} couples one half of the channels with the other, and a layer has one channel alone; read"
                " other layers, or use the bank cflow"
            )
        kernels = [3 if options.kernels == "3" or number % 2 == 0 else 1 for number in range(options.blocks)]
        return MapsFlow(shapes, kernels, options.ratio, options.clamp, probability=options.energy == "probability")
