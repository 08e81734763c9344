"""Dinomaly: a decoder of linear attention that redraws the layers of DINOv2 from their noisy mean."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from adbench.weights import hub_file, is_head, load_strictly
from adbench_anomalib.models.adapter import Adapter, Answer, normalised

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from adbench_anomalib.examples import Layout, Shown

WARM = 100
"""Steps in which the rate rises."""

FILE = "model.safetensors"


class DinomalyAdapter(Adapter):
    """anomalib's Dinomaly (arXiv 2405.14325). Class and register tokens take part: DINOv2 is a part of the model."""

    rate: ClassVar[float] = 2e-3
    clip: ClassVar[float] = 0.1
    usual: ClassVar[str] = "vit_base_patch14_reg4_dinov2"
    architectures: ClassVar[tuple[str, ...] | None] = (
        "vit_small_patch14_reg4_dinov2",
        "vit_base_patch14_reg4_dinov2",
        "vit_large_patch14_reg4_dinov2",
    )
    multiple: ClassVar[int] = 14
    least: ClassVar[int] = 14
    own: ClassVar[bool] = True

    @classmethod
    def pretrained(cls, architecture: str) -> tuple[Path, str]:
        repo = f"timm/{architecture}.lvd142m"
        return hub_file(repo, FILE), f"{repo}/{FILE}"

    def network(self, layout: Layout) -> Any:  # noqa: ARG002  it takes images of any size
        source = self.setting.weights
        assert source is not None
        with anomalibs_positions(), source.seeded():
            network = self.built()
        encoder = network.encoder.feature_extractor
        own = encoder.state_dict()
        state = source.read(lambda part: len(own.keys() & part.keys()))
        if state is not None:
            load_strictly(encoder, state, self.setting.who, is_head)
        network.requires_grad_(requires_grad=False)
        self.learned(network).requires_grad_(requires_grad=True)
        self.start(network)
        return network

    def built(self) -> Any:
        """Build anomalib's network, which draws the weights of its encoder first."""
        from anomalib.models.image.dinomaly import torch_model

        from adbench_anomalib.models.given import standing_in

        with standing_in(torch_model, None):
            return torch_model.DinomalyModel(encoder_name=self.architecture)

    def start(self, network: Any) -> None:
        """Draw initial weights from the global generator, which the bank has seeded; the encoder's seed is another."""
        _start(self.learned(network))

    def learned(self, network: Any) -> nn.ModuleDict:
        from torch import nn

        return nn.ModuleDict({"bottleneck": network.bottleneck, "decoder": network.decoder})

    def brought(self, network: Any) -> nn.Module:
        encoder: nn.Module = network.encoder
        return encoder

    def optimizer(self, parameters: Sequence[nn.Parameter], rate: float) -> Optimizer:
        from anomalib.models.image.dinomaly.components import StableAdamW

        made: Optimizer = StableAdamW(parameters, lr=rate, weight_decay=1e-4, amsgrad=True, eps=1e-8)
        return made

    def factor(self, done: float) -> float:
        """From 0 to 1 in `WARM` steps, then by a cosine to a tenth."""
        steps = self.setting.steps
        step, rest = round(done * steps), max(1, steps - WARM)
        if step < WARM:
            return step / (WARM - 1)
        return 0.1 + 0.45 * (1 + math.cos(math.pi * (step - WARM) / rest))

    def loss(self, network: Any, shown: Shown, step: int) -> Tensor:
        with anomalibs_positions():
            loss: Tensor = network(normalised(shown.need_images), global_step=step)
        return loss

    def answer(self, network: Any, shown: Shown) -> Answer:
        with anomalibs_positions():
            found = network(normalised(shown.need_images))
        return Answer(found.anomaly_map[:, 0], found.pred_score)


@contextmanager
def anomalibs_positions() -> Iterator[None]:
    """Resample DINOv2's positions as anomalib does inside this block only.

    anomalib replaces timm's function for the whole process, which would change the features of every other backbone.
    """
    from anomalib.models.components.feature_extractors.timm import _disable_pos_embed_antialiasing
    from timm.models import vision_transformer

    vit: Any = vision_transformer
    before = vit.resample_abs_pos_embed
    _disable_pos_embed_antialiasing()
    try:
        yield
    finally:
        vit.resample_abs_pos_embed = before


def _start(parts: nn.Module) -> None:
    """Draw initial weights as anomalib's Lightning module does."""
    from torch import nn

    for each in parts.modules():
        if isinstance(each, nn.Linear):
            nn.init.trunc_normal_(each.weight, std=0.01, a=-0.03, b=0.03)
            if each.bias is not None:
                nn.init.zeros_(each.bias)
        elif isinstance(each, nn.LayerNorm):
            nn.init.zeros_(each.bias)
            nn.init.ones_(each.weight)
