"""GeneralAD: attention over the patches of an image tells them from the same patches with noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import UsageError
from adbench_anomalib.models.adapter import Adapter, Answer, told

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from adbench_anomalib.examples import Layout, Shown

HEADS = 4

FLOOR = 0.2
"""Of the rate, to which it falls."""


class GeneralAdAdapter(Adapter):
    """anomalib's GeneralAD (arXiv 2407.12427) on the layers of the recipe's backbone, with random noise alone.

    Maps and scores are logits, as in anomalib. The published method reads the last block of DINOv2 (large).
    """

    reads: ClassVar[frozenset[str]] = frozenset({"layers"})
    rate: ClassVar[float] = 5e-4
    square: ClassVar[bool] = True

    def network(self, layout: Layout) -> Any:
        from adbench_anomalib.models.tokens import GivenTokens

        given = GivenTokens(layout, self.setting.who)
        height, width = given.grid
        if height != width or given.embed_dim % HEADS:
            raise UsageError(
                f"{self.setting.who} reads square layers whose channels, together, are a multiple of {HEADS}, but the"
                f" backbone gives {height} x {width} x {given.embed_dim}; name other layers"
            )
        from anomalib.models.image.general_ad import torch_model

        from adbench_anomalib.models.given import replaced

        with replaced(torch_model, ViTFeatureExtractor=lambda *_, **__: given):
            return torch_model.GeneralADModel("vit", dsc_heads=HEADS, image_size=layout.size)

    def learned(self, network: Any) -> nn.ModuleDict:
        from torch import nn

        return nn.ModuleDict({"discriminator": network.discriminator})

    def optimizer(self, parameters: Sequence[nn.Parameter], rate: float) -> Optimizer:
        import torch

        return torch.optim.AdamW(parameters, lr=rate, weight_decay=1e-5)

    def factor(self, done: float) -> float:
        return FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * done)) / 2

    def loss(self, network: Any, shown: Shown, step: int) -> Tensor:  # noqa: ARG002
        loss: Tensor = network.compute_loss(told(network.feature_extractor, shown))
        return loss

    def answer(self, network: Any, shown: Shown) -> Answer:
        found = network(told(network.feature_extractor, shown))
        return Answer(found.anomaly_map[:, 0], found.pred_score)
