"""Reverse distillation: a decoder that redraws the layers of a frozen encoder from a narrow embedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import UsageError
from adbench_anomalib.models.adapter import Adapter, Answer, told

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from adbench_anomalib.examples import Layout, Shown

LAYERS = ("layer1", "layer2", "layer3")


class ReverseDistillationAdapter(Adapter):
    """anomalib's reverse distillation (arXiv 2201.10703), maps added up over three layers.

    The encoder is the recipe's backbone: three layers of the channels that the decoder redraws.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"layers"})
    rate: ClassVar[float] = 0.005
    usual: ClassVar[str] = "wide_resnet50_2"
    architectures: ClassVar[tuple[str, ...] | None] = (
        "wide_resnet50_2",
        "wide_resnet101_2",
        "resnet18",
        "resnet34",
        "resnet50",
        "resnet101",
        "resnet152",
        "resnext50_32x4d",
        "resnext101_32x8d",
    )
    multiple: ClassVar[int] = 32
    least: ClassVar[int] = 32

    def network(self, layout: Layout) -> Any:
        from anomalib.models.image.reverse_distillation import torch_model
        from anomalib.models.image.reverse_distillation.anomaly_map import AnomalyMapGenerationMode

        from adbench_anomalib.models.given import GivenLayers, standing_in

        height, width = layout.size
        base = 1 if self.architecture in {"resnet18", "resnet34"} else 4
        wanted = [(64 * base << at, height // (4 << at), width // (4 << at)) for at in range(3)]
        if list(layout.layers) != wanted:
            raise UsageError(
                f"{self.setting.who}: the decoder of {self.architecture} redraws layers of {_written(wanted)} values,"
                f" but the backbone gives {_written(layout.layers)}; name its layers 1, 2 and 3 or another architecture"
            )
        with standing_in(torch_model, GivenLayers([shape[0] for shape in wanted], LAYERS)):
            return torch_model.ReverseDistillationModel(
                self.architecture, layout.size, LAYERS, AnomalyMapGenerationMode.ADD, pre_trained=False
            )

    def learned(self, network: Any) -> nn.ModuleDict:
        from torch import nn

        return nn.ModuleDict({"decoder": network.decoder, "bottleneck": network.bottleneck})

    def optimizer(self, parameters: Sequence[nn.Parameter], rate: float) -> Optimizer:
        import torch

        return torch.optim.Adam(parameters, lr=rate, betas=(0.5, 0.99))

    def loss(self, network: Any, shown: Shown, step: int) -> Tensor:  # noqa: ARG002
        from anomalib.models.image.reverse_distillation.loss import ReverseDistillationLoss

        loss: Tensor = ReverseDistillationLoss()(*network(told(network.encoder, shown)))
        return loss

    def answer(self, network: Any, shown: Shown) -> Answer:
        found = network(told(network.encoder, shown))
        return Answer(found.anomaly_map[:, 0], found.pred_score[:, 0])


def _written(shapes: Sequence[tuple[int, int, int]]) -> str:
    return ", ".join(f"{height} x {width} x {channels}" for channels, height, width in shapes)
