"""PatchFlow: a flow over the vectors of a frozen network at three sizes of the image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from adbench.weights import hub_file
from adbench_anomalib.models.adapter import Adapter, Answer, normalised

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from adbench_anomalib.examples import Layout, Shown

TAGS = {
    "tf_efficientnet_b5": "ns_jft_in1k",
    "resnet18": "a1_in1k",
    "wide_resnet50_2": "racm_in1k",
}
"""The weights that timm has for each network, which anomalib takes."""

FILE = "model.safetensors"

AFTER = ("conv_head.", "bn2.")
"""How the names begin of what a network has after the layers that are read."""


class PatchFlowAdapter(Adapter):
    """anomalib's PatchFlow (arXiv 2602.05238). The network reads each image at three sizes: it is part of the model."""

    rate: ClassVar[float] = 1e-3
    usual: ClassVar[str] = "tf_efficientnet_b5"
    architectures: ClassVar[tuple[str, ...] | None] = tuple(TAGS)
    multiple: ClassVar[int] = 32
    least: ClassVar[int] = 128
    own: ClassVar[bool] = True

    @classmethod
    def pretrained(cls, architecture: str) -> tuple[Path, str]:
        repo = f"timm/{architecture}.{TAGS[architecture]}"
        return hub_file(repo, FILE), f"{repo}/{FILE}"

    def network(self, layout: Layout) -> Any:
        from anomalib.models.image.patchflow import torch_model

        from adbench_anomalib.models.given import replaced
        from adbench_anomalib.models.own import encoder_maker

        with replaced(torch_model, TimmFeatureExtractor=encoder_maker(self.setting, AFTER)):
            return torch_model.PatchflowModel(layout.size, self.architecture)

    def learned(self, network: Any) -> nn.ModuleDict:
        from torch import nn

        return nn.ModuleDict({"feature_adaptor": network.feature_adaptor, "flow": network.flow})

    def brought(self, network: Any) -> nn.Module:
        encoder: nn.Module = network.feature_extractor.feature_extractor
        return encoder

    def optimizer(self, parameters: Sequence[nn.Parameter], rate: float) -> Optimizer:
        import torch

        return torch.optim.Adam(parameters, lr=rate, weight_decay=1e-4)

    def loss(self, network: Any, shown: Shown, step: int) -> Tensor:  # noqa: ARG002
        from anomalib.models.image.patchflow.loss import PatchflowLoss

        loss: Tensor = PatchflowLoss()(*network(normalised(shown.need_images)))
        return loss

    def answer(self, network: Any, shown: Shown) -> Answer:
        found = network(normalised(shown.need_images))
        return Answer(found.anomaly_map[:, 0], found.pred_score[:, 0])
