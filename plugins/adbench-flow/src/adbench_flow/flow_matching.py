"""The bank of velocities from noise to normal features (flow matching)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from adbench import Field
from adbench_flow.grids import Reads
from adbench_flow.trained import Shape, TrainedEnergy

if TYPE_CHECKING:
    from adbench_flow.density import Density


class FlowMatching(TrainedEnergy):
    """A network that learns the velocity from noise to a normal vector at its place (flow matching, arXiv 2210.02747).

    Vectors x_1 are whitened; on the straight way x_t = (1 - t) x_0 + t x_1 from noise x_0 the velocity is x_1 - x_0.
    A place's energy is the squared mismatch of learned and true velocity a channel, the mean over fixed times and noise
    that the seed draws once (after Flow Mismatching, arXiv 2605.23070). In one step, it is the squared length a channel
    of x_1 - v(x_1, 1), the noise that the vector would come from.
    """

    name: ClassVar[str] = "flow-matching"

    class Config(TrainedEnergy.Config):
        """Options."""

        reads: Reads = Field("patches", description="merged patches, or layers: each by itself, on its own grid")
        score: Literal["mismatch", "one-step"] = Field(
            "mismatch", description="mismatch: of velocities, over several draws; one-step: a single reversed step"
        )
        draws: int = Field(8, ge=1, description="draws of time and noise of the mismatch")
        width: int = Field(512, ge=1, description="hidden values of the network")
        depth: int = Field(3, ge=1, description="hidden layers of the network")
        condition: int = Field(128, ge=4, multiple_of=4, description="length of a place's code")
        vectors: int = Field(1024, ge=1, description="vectors of a step, drawn of the step's images")

    config: Config

    def density(self, shapes: Sequence[Shape]) -> Density:
        from adbench_flow.velocity import VelocityDensity

        options = self.config
        return VelocityDensity(
            shapes,
            width=options.width,
            depth=options.depth,
            condition=options.condition,
            vectors=options.vectors,
            draws=options.draws if options.score == "mismatch" else 0,
        )
