"""The common base of the banks: grids in, a network trained for a fixed number of steps, energies out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import ContractError, DataError, EnergyBank, Field, UsageError
from adbench.training import Budget, Training, loss_facts
from adbench_flow.grids import Reads, all_grids, grids_of

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Context, Features, FeatureStream
    from adbench_flow.density import Density

Shape = tuple[int, int, int]
"""Channels, height and width of a grid."""


class TrainedEnergy(EnergyBank):
    """A bank whose network learns the density of normal features.

    It takes a fixed number of steps with Adam, its last weights count, and all its randomness comes from the seed. A
    training that was stopped goes on from its last checkpoint where the run has a cache.
    """

    class Config(EnergyBank.Config):
        """Options."""

        reads: Reads = Field("layers", description="layers: each by itself, on its own grid; or merged patches")
        steps: int = Field(1000, ge=1, description="training steps; the last weights count")
        batch: int = Field(16, ge=1, description="images of a step; all of them where there are fewer")
        rate: float = Field(1e-3, gt=0, description="learning rate of Adam")
        decay: float = Field(0.0, ge=0, description="weight decay of Adam")

    config: Config
    needs: ClassVar[frozenset[str]] = frozenset({"layers"})
    plain: ClassVar[bool] = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.needs = frozenset({self.config.reads})  # type: ignore[misc]  # it depends on the options
        self._device = "cpu"
        self._learned: dict[str, Tensor] = {}
        self._shapes: list[tuple[int, ...]] = []
        self._made: Density | None = None

    def prepare(self, ctx: Context) -> None:
        self._device = ctx.device

    @abstractmethod
    def density(self, shapes: Sequence[Shape]) -> Density:
        """The network with initial weights, on the CPU, for grids of these shapes."""

    def fit(self, features: FeatureStream, ctx: Context) -> None:
        """Train the network on the stream.

        Raises:
            DataError: there is no image, or images have different grids.
            ContractError: features are missing or not finite.
            UsageError: the features do not fit into memory, or the loss is not finite, with the step.
        """
        import torch

        grids = all_grids(features, self.config.reads, self.title)
        layout = torch.tensor([grid.shape[1:] for grid in grids])
        network = self._built(layout, ctx.generator(f"{self.name}/weights"))
        network.begin(grids, ctx.generator(f"{self.name}/begin"))
        losses = self._train(network.to(ctx.device), grids, ctx)
        weights = {f"network.{name}": value.contiguous() for name, value in network.state_dict().items()}
        self.restore({"layout": layout, "losses": losses, **weights})

    def energy(self, features: Features) -> Tensor:
        """The energies of a batch, [B, H, W] float32; each image by itself, so that it has the same in any batch.

        Raises:
            DataError: images have other grids than those that were learned from.
            ContractError: features are missing, not finite, or have other channels.
            UsageError: nothing was learned yet.
        """
        import torch

        grids = [grid.to(self._device) for grid in grids_of(features, self.config.reads, self.title)]
        if self._made is None:
            raise self._nothing_learned()
        self._require_shapes([tuple(grid.shape[1:]) for grid in grids], self._shapes)
        with torch.no_grad():
            return torch.cat([self._made.energy([grid[i : i + 1] for grid in grids]) for i in range(len(features))])

    def state(self) -> dict[str, Tensor]:
        return dict(self._learned)

    def restore(self, state: dict[str, Tensor]) -> None:
        import torch

        self._learned = {name: tensor.to(self._device) for name, tensor in state.items()}
        network = self._built(self._learned["layout"], torch.Generator().manual_seed(0))
        weights = {
            name.removeprefix("network."): value for name, value in self._learned.items() if name.startswith("network.")
        }
        network.load_state_dict(weights)
        self._shapes = [tuple(shape) for shape in self._learned["layout"].tolist()]
        self._made = network.to(self._device).requires_grad_(requires_grad=False).eval()

    def facts(self) -> Mapping[str, float]:
        """The mean losses of the first and of the last steps."""
        return loss_facts(self._known("losses"))

    def losses(self) -> Sequence[float]:
        losses: list[float] = self._known("losses").tolist()
        return losses

    def _train(self, network: Density, grids: list[Tensor], ctx: Context) -> Tensor:
        """Train the network; returns the losses [steps]."""
        options = self.config

        def loss(chosen: Tensor, noise: Any) -> Tensor:
            return network.loss([grid[chosen].to(ctx.device) for grid in grids], noise)

        budget = Budget(options.steps, options.batch, options.rate, options.decay)
        training = Training(network, loss, len(grids[0]), budget, ctx, name=self.name, who=self.title)
        return training.run({"options": self.identity(), "version": self.version}, *grids)

    def _built(self, layout: Tensor, generator: Any) -> Density:
        from adbench_flow.coupling import drawn_from

        with drawn_from(generator):
            return self.density([(channels, height, width) for channels, height, width in layout.tolist()])

    def _require_shapes(self, found: list[tuple[int, ...]], learned: list[tuple[int, ...]]) -> None:
        """Refuse grids of other shapes [C, H, W] than those that were learned from."""
        if [shape[0] for shape in found] != [shape[0] for shape in learned]:
            told = (
                f"{self.title} learned layers of {_channels(learned)} channels, but is asked about {_channels(found)}"
            )
            raise ContractError("the backbone or a neck", told)
        if found != learned:
            sizes = [" and ".join(f"{height} x {width}" for _, height, width in shapes) for shapes in (learned, found)]
            raise DataError(
                f"{self.title} learned grids of {sizes[0]} places, but an image has {sizes[1]}; resize and crop all"
                " images to one size"
            )

    def _known(self, name: str) -> Tensor:
        if not self._learned:
            raise self._nothing_learned()
        return self._learned[name]

    def _nothing_learned(self) -> UsageError:
        return UsageError(f"{self.title} has learned nothing yet; call fit or restore first")


def _channels(shapes: list[tuple[int, ...]]) -> str:
    return " and ".join(str(shape[0]) for shape in shapes)
