"""CFA: a convolution that draws the vectors of a frozen encoder to the mean vectors of normal images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import UsageError
from adbench_anomalib.models.adapter import Adapter, Answer

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from adbench_anomalib.examples import Examples, Layout, Shown

NEIGHBORS = HARD = 3
"""Centres that a vector is drawn to, and those that it is kept from."""

RADIUS = 1e-5


class CfaAdapter(Adapter):
    """anomalib's CFA (arXiv 2206.04325) on the layers of the recipe's backbone.

    The centres are the mean of each place over the images that are trained on, before training, as in anomalib. A
    squared distance that rounding makes negative is 0 here; its root is not a number in anomalib.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"layers"})
    rate: ClassVar[float] = 1e-3
    square: ClassVar[bool] = True

    def network(self, layout: Layout) -> Any:
        channels, (_, height, width) = [shape[0] for shape in layout.layers], layout.layers[0]
        if height != width or height * width < NEIGHBORS + HARD:
            raise UsageError(
                f"{self.setting.who} reads square layers of {NEIGHBORS + HARD} or more vectors, but the backbone gives"
                f" {height} x {width}; name other layers"
            )
        import torch
        from anomalib.models.image.cfa import torch_model
        from torch import nn

        from adbench_anomalib.models.given import GivenLayers, replaced

        given = GivenLayers(channels, [f"layer{number}" for number in range(len(channels))])
        with replaced(torch_model, get_feature_extractor=lambda *_: given):
            network = torch_model.CfaModel("resnet18", 1, 1, NEIGHBORS, HARD, RADIUS)
        network.descriptor.layer = torch_model.CoordConv2d(sum(channels), sum(channels), kernel_size=1)
        network.memory = nn.Module()
        network.memory.register_buffer("centers", torch.zeros(sum(channels), height * width))
        return network

    def learned(self, network: Any) -> nn.ModuleDict:
        from torch import nn

        return nn.ModuleDict({"descriptor": network.descriptor, "memory": network.memory})

    def optimizer(self, parameters: Sequence[nn.Parameter], rate: float) -> Optimizer:
        import torch

        return torch.optim.AdamW(parameters, lr=rate, weight_decay=5e-4, amsgrad=True)

    def begin(self, network: Any, examples: Examples, chosen: Sequence[int], device: str) -> None:
        """The mean of each place, in double precision."""
        import torch

        centers = network.memory.centers
        total = torch.zeros_like(centers, dtype=torch.float64)
        with torch.no_grad():
            for part in examples.parts(chosen):
                total += network.descriptor(list(part.to(device).layers))[0].flatten(1)
        centers.copy_(total / len(chosen))

    def loss(self, network: Any, shown: Shown, step: int) -> Tensor:  # noqa: ARG002
        from anomalib.models.image.cfa.loss import CfaLoss

        loss: Tensor = CfaLoss(NEIGHBORS, HARD, RADIUS)(_distances(network, shown)[0])
        return loss

    def answer(self, network: Any, shown: Shown) -> Answer:
        distances, grid = _distances(network, shown)
        generate = network.anomaly_map_generator
        maps = generate(distance=distances.clamp(min=0), scale=grid, image_size=shown.size)[:, 0]
        return Answer(maps, maps.amax((1, 2)))


def _distances(network: Any, shown: Shown) -> tuple[Tensor, tuple[int, int]]:
    """The squared distances [B, H W, H W] of all vectors to all centres, and H and W."""
    network.memory_bank = network.memory.centers
    vectors = network.descriptor(list(shown.layers))
    return network.compute_distance(vectors), tuple(vectors.shape[2:])
