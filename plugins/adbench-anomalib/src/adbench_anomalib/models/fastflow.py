"""anomalib's FastFlow: flows over the maps of three layers of a ResNet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import UsageError
from adbench_anomalib.models.adapter import Adapter, Answer, told

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from adbench_anomalib.examples import Layout, Shown

NARROW = {"resnet18": 64, "wide_resnet50_2": 256}
"""Channels of the first layer."""


class FastFlowAdapter(Adapter):
    """anomalib's FastFlow (arXiv 2111.07677) on three layers of the recipe's backbone, a ResNet's."""

    reads: ClassVar[frozenset[str]] = frozenset({"layers"})
    rate: ClassVar[float] = 1e-3
    usual: ClassVar[str] = "wide_resnet50_2"
    architectures: ClassVar[tuple[str, ...] | None] = tuple(NARROW)
    multiple: ClassVar[int] = 16
    least: ClassVar[int] = 16

    def network(self, layout: Layout) -> Any:
        from anomalib.models.image.fastflow.torch_model import FastflowModel

        from adbench_anomalib.models.given import GivenLayers

        height, width = layout.size
        first = NARROW[self.architecture]
        wanted = tuple((first << at, height // (4 << at), width // (4 << at)) for at in range(3))
        if layout.layers != wanted:
            raise UsageError(
                f"{self.setting.who} learns from layers 1, 2 and 3 of {self.architecture}, of {_channels(wanted)}"
                f" channels, but the backbone gives {_channels(layout.layers)}; name that backbone or another"
                " architecture"
            )
        network = FastflowModel(layout.size, self.architecture, pre_trained=False)
        network.feature_extractor = GivenLayers([shape[0] for shape in wanted], [])
        return network

    def learned(self, network: Any) -> nn.ModuleDict:
        from torch import nn

        return nn.ModuleDict({"norms": network.norms, "fast_flow_blocks": network.fast_flow_blocks})

    def optimizer(self, parameters: Sequence[nn.Parameter], rate: float) -> Optimizer:
        import torch

        return torch.optim.Adam(parameters, lr=rate, weight_decay=1e-5)

    def loss(self, network: Any, shown: Shown, step: int) -> Tensor:  # noqa: ARG002
        from anomalib.models.image.fastflow.loss import FastflowLoss

        loss: Tensor = FastflowLoss()(*network(told(network.feature_extractor, shown)))
        return loss

    def answer(self, network: Any, shown: Shown) -> Answer:
        found = network(told(network.feature_extractor, shown))
        return Answer(found.anomaly_map[:, 0], found.pred_score[:, 0])


def _channels(shapes: Sequence[tuple[int, int, int]]) -> str:
    return ", ".join(str(shape[0]) for shape in shapes)
