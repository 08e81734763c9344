"""CS-Flow: one flow over the vectors of an image at three sizes, which see each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import WeightsError
from adbench.weights import load_strictly
from adbench_anomalib.models.adapter import Adapter, Answer, normalised

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from adbench_anomalib.examples import Layout, Shown

HIDDEN = 1024
"""Channels of the subnetworks between their two convolutions."""

BLOCKS = 4

FILE = "https://download.pytorch.org/models/efficientnet_b5_lukemelas-1a07897c.pth"

AFTER = ("features.7.", "features.8.", "classifier.")
"""How the names begin of what EfficientNet-B5 has after the layer that is read."""


class CsFlowAdapter(Adapter):
    """anomalib's CS-Flow (arXiv 2110.02855). EfficientNet-B5 reads each image at three sizes: it is part of the model.

    A map is the product of the three sizes' maps. The loss subtracts the determinants of the whole batch from each
    image, as anomalib's does.
    """

    rate: ClassVar[float] = 2e-4
    clip: ClassVar[float] = 1.0
    multiple: ClassVar[int] = 128
    least: ClassVar[int] = 128
    own: ClassVar[bool] = True

    @classmethod
    def pretrained(cls, architecture: str) -> tuple[Path, str]:
        raise WeightsError(
            f"CS-Flow's EfficientNet-B5 is not downloaded by itself; download {FILE} and give weights=PATH of it"
        )

    def network(self, layout: Layout) -> Any:
        from anomalib.models.image.csflow import torch_model

        from adbench_anomalib.models.given import replaced

        with replaced(torch_model, efficientnet_b5=self._encoder):
            network = torch_model.CsFlowModel(layout.size, HIDDEN, BLOCKS)
        encoder = self.brought(network)
        source = self.setting.weights
        assert source is not None
        own = encoder.state_dict()
        state = source.read(lambda part: len(own.keys() & part.keys()))
        if state is not None:
            load_strictly(encoder, state, self.setting.who, lambda name: name.startswith(AFTER))
        encoder.requires_grad_(requires_grad=False)
        return network

    def learned(self, network: Any) -> nn.ModuleDict:
        from torch import nn

        return nn.ModuleDict({"graph": network.graph})

    def brought(self, network: Any) -> nn.Module:
        encoder: nn.Module = network.feature_extractor.feature_extractor.feature_extractor
        return encoder

    def optimizer(self, parameters: Sequence[nn.Parameter], rate: float) -> Optimizer:
        import torch

        return torch.optim.Adam(parameters, lr=rate, eps=1e-4, weight_decay=1e-5, betas=(0.5, 0.9))

    def loss(self, network: Any, shown: Shown, step: int) -> Tensor:  # noqa: ARG002
        from anomalib.models.image.csflow.loss import CsFlowLoss

        loss: Tensor = CsFlowLoss()(*network(normalised(shown.need_images)))
        return loss

    def answer(self, network: Any, shown: Shown) -> Answer:
        found = network(normalised(shown.need_images))
        return Answer(found.anomaly_map[:, 0], found.pred_score)

    def _encoder(self, **_: Any) -> nn.Module:
        """EfficientNet-B5 with random weights, in place of a download."""
        from torchvision.models import efficientnet_b5

        source = self.setting.weights
        assert source is not None
        with source.seeded():
            made: nn.Module = efficientnet_b5(weights=None)
        return made
