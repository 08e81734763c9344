"""U-Flow: one flow through the layers of a network, from the coarsest to the finest."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import UsageError
from adbench_anomalib.models.adapter import Adapter, Answer

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from adbench_anomalib.examples import Layout, Shown

FALLING = 25_000
"""Steps in which the rate falls to `LAST` of itself."""

LAST = 0.4

LEAST = 8
"""Channels of a layer: half of them go up to the next layer, as pixels of a quarter as many channels."""


class UFlowAdapter(Adapter):
    """anomalib's U-Flow (arXiv 2211.12353) on the layers of the recipe's backbone, as it is on a ResNet's.

    A map is the negative mean probability, which is anomalib's less 1: so many strong defects would be 1 in single
    precision. anomalib's default encoder, two CaiT networks, is not here.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"layers"})
    rate: ClassVar[float] = 1e-3

    def network(self, layout: Layout) -> Any:
        scales = self._scales(layout)
        from anomalib.models.image.uflow import torch_model

        from adbench_anomalib.models.given import NormedLayers, replaced

        given = NormedLayers(layout.layers, scales)
        with replaced(torch_model, get_feature_extractor=lambda *_: given):
            return torch_model.UflowModel(layout.size, backbone="resnet18")

    def learned(self, network: Any) -> nn.ModuleDict:
        from torch import nn

        norms = network.feature_extractor.feature_normalizations
        return nn.ModuleDict({"feature_normalizations": norms, "flow": network.flow})

    def optimizer(self, parameters: Sequence[nn.Parameter], rate: float) -> Optimizer:
        import torch

        return torch.optim.Adam(parameters, lr=rate, weight_decay=1e-5)

    def factor(self, done: float) -> float:
        return 1 - (1 - LAST) * min(1.0, done * self.setting.steps / FALLING)

    def loss(self, network: Any, shown: Shown, step: int) -> Tensor:  # noqa: ARG002
        from anomalib.models.image.uflow.loss import UFlowLoss

        loss: Tensor = UFlowLoss()(*_encoded(network, shown))
        return loss

    def answer(self, network: Any, shown: Shown) -> Answer:
        import torch
        from torch.nn.functional import interpolate

        codes, _ = _encoded(network, shown)
        shares = [(-0.5 * code.square().mean(1, keepdim=True)).exp() for code in codes]
        enlarged = [interpolate(share, size=shown.size, mode="bilinear", align_corners=False) for share in shares]
        maps = -torch.stack(enlarged).mean(0)[:, 0]
        return Answer(maps, maps.amax((1, 2)))

    def _scales(self, layout: Layout) -> list[int]:
        """By how much each layer is smaller than the image."""
        (height, width), scales = layout.size, [layout.size[0] // shape[1] for shape in layout.layers]
        fits = [
            shape[0] >= LEAST and (shape[1] * scale, shape[2] * scale) == (height, width)
            for shape, scale in zip(layout.layers, scales, strict=True)
        ]
        if not all(fits) or any(coarse != 2 * fine for fine, coarse in pairwise(scales)):
            found = ", ".join(f"{shape[1]} x {shape[2]} x {shape[0]}" for shape in layout.layers)
            raise UsageError(
                f"{self.setting.who} reads layers of {LEAST} or more channels, each half as high and wide as the one"
                f" before, but the backbone gives {found} of {height} x {width} pixels; name other layers, or resize to"
                " a multiple of 32"
            )
        return scales


def _encoded(network: Any, shown: Shown) -> tuple[list[Tensor], Tensor]:
    """The codes of each layer, and the logarithms of the determinants [B]."""
    network.feature_extractor.held = shown.layers
    codes, determinants = network.encode(network.feature_extractor(None))
    return list(codes), determinants
