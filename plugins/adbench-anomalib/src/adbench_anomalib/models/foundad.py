"""FoundAD: a projector leads the vectors of DINOv2 back to those of normal images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from adbench.weights import hub_file, is_head, load_strictly
from adbench_anomalib.models.adapter import Adapter, Answer, normalised
from adbench_anomalib.models.dinomaly import anomalibs_positions

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from adbench_anomalib.examples import Layout, Shown

TIMM = {
    "dinov2_vit_small_14": "vit_small_patch14_dinov2",
    "dinov2_vit_base_14": "vit_base_patch14_dinov2",
    "dinov2_vit_large_14": "vit_large_patch14_dinov2",
}
"""timm's name of each network that anomalib names."""

FILE = "model.safetensors"


class FoundAdAdapter(Adapter):
    """anomalib's FoundAD (arXiv 2510.01934), with its few-shot augmentation.

    DINOv2 reads images with parts of themselves pasted in: it is part of the model.
    """

    rate: ClassVar[float] = 1e-3
    usual: ClassVar[str] = "dinov2_vit_base_14"
    architectures: ClassVar[tuple[str, ...] | None] = tuple(TIMM)
    multiple: ClassVar[int] = 14
    least: ClassVar[int] = 56
    square: ClassVar[bool] = True
    own: ClassVar[bool] = True

    @classmethod
    def pretrained(cls, architecture: str) -> tuple[Path, str]:
        repo = f"timm/{TIMM[architecture]}.lvd142m"
        return hub_file(repo, FILE), f"{repo}/{FILE}"

    def network(self, layout: Layout) -> Any:  # noqa: ARG002  it takes images of any size
        from anomalib.models.image.foundad import torch_model
        from anomalib.models.image.foundad.components.augmentation import FewShotAugmentation
        from anomalib.models.image.foundad.components.cutpaste import CutPasteUnion

        from adbench_anomalib.models.given import replaced

        with replaced(torch_model, load_encoder=self._encoder):
            network = torch_model.FoundADModel(self.architecture)
        network.augment, network.paste = FewShotAugmentation(), CutPasteUnion(color_jitter=0.5)
        return network

    def learned(self, network: Any) -> nn.ModuleDict:
        from torch import nn

        return nn.ModuleDict({"projector": network.projector})

    def brought(self, network: Any) -> nn.Module:
        encoder: nn.Module = network.encoder.get_submodule("_model")
        return encoder

    def optimizer(self, parameters: Sequence[nn.Parameter], rate: float) -> Optimizer:
        import torch

        return torch.optim.AdamW(parameters, lr=rate, weight_decay=1e-4)

    def loss(self, network: Any, shown: Shown, step: int) -> Tensor:  # noqa: ARG002
        images = network.augment(normalised(shown.need_images))
        with anomalibs_positions():
            loss: Tensor = network(images, augmented_images=network.paste(images))
        return loss

    def answer(self, network: Any, shown: Shown) -> Answer:
        with anomalibs_positions():
            found = network(normalised(shown.need_images))
        return Answer(found.anomaly_map[:, 0], found.pred_score)

    def _encoder(self, name: str) -> nn.Module:
        import timm
        from anomalib.models.image.foundad.components.encoder_loader import TimmDinoWrapper

        source = self.setting.weights
        assert source is not None
        with source.seeded():
            encoder = timm.create_model(TIMM[name], pretrained=False, dynamic_img_size=True)
        own = encoder.state_dict()
        state = source.read(lambda part: len(own.keys() & part.keys()))
        if state is not None:
            load_strictly(encoder, state, self.setting.who, is_head)
        made: nn.Module = TimmDinoWrapper(encoder)
        return made
