"""GLASS: a discriminator learns from noise that gradients make harder, and from textures pasted into images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from adbench.weights import hub_file
from adbench_anomalib.models.adapter import Adapter, Answer, Setting, normalised

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from adbench_anomalib.examples import Examples, Layout, Shown

REPO, FILE = "timm/wide_resnet50_2.racm_in1k", "model.safetensors"

STRIDE = 8
"""Pixels of a patch's side: those of the second layer."""

CHANNELS = 1536

DECAY = 1e-5
"""Of the projection, added to its gradient as Adam has it; the discriminator's decay is AdamW's own."""


class GlassAdapter(Adapter):
    """anomalib's GLASS (arXiv 2407.09359). Its ResNet reads images with defects pasted in: it is part of the model.

    Without a folder of textures, anomalib's noise is pasted in their place, which is not the published method. Two
    optimisers step together in anomalib; here they are groups of one. The centres of all places are found anew once in
    every pass over the images. Maps are made of sigmoids, as anomalib's; an image's score is the highest logit.
    """

    rate: ClassVar[float] = 1e-4
    multiple: ClassVar[int] = 16
    least: ClassVar[int] = 32
    own: ClassVar[bool] = True

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._trained: tuple[Examples, Sequence[int]] | None = None

    @classmethod
    def pretrained(cls, architecture: str) -> tuple[Path, str]:
        return hub_file(REPO, FILE), f"{REPO}/{FILE}"

    def network(self, layout: Layout) -> Any:
        import torch
        from anomalib.models.image.glass import torch_model
        from torch import nn

        from adbench_anomalib.models.given import replaced
        from adbench_anomalib.models.own import encoder_maker

        textures = self.setting.auxiliary
        with replaced(torch_model, TimmFeatureExtractor=encoder_maker(self.setting, ("layer4.",))):
            network = torch_model.GlassModel(layout.size, None if textures is None else str(textures))
        network.augmentor.anomaly_source_paths.sort()
        places = layout.size[0] // STRIDE * (layout.size[1] // STRIDE)
        network.memory = nn.Module()
        network.memory.register_buffer("centers", torch.zeros(places, CHANNELS))
        return network

    def learned(self, network: Any) -> nn.ModuleDict:
        from torch import nn

        return nn.ModuleDict({name: getattr(network, name) for name in ("projection", "discriminator", "memory")})

    def brought(self, network: Any) -> nn.Module:
        encoder: nn.Module = network.forward_modules["feature_aggregator"].feature_extractor
        return encoder

    def optimizer(self, parameters: Sequence[nn.Parameter], rate: float) -> Optimizer:
        """The projection, which is one linear layer and comes first, and the discriminator at twice the rate."""
        import torch

        head = {"params": list(parameters[2:]), "lr": 2 * rate, "weight_decay": 0.01}
        made = torch.optim.AdamW([{"params": list(parameters[:2]), "weight_decay": 0.0}, head], lr=rate)
        made.register_step_pre_hook(_decay)
        return made

    def begin(self, network: Any, examples: Examples, chosen: Sequence[int], device: str) -> None:  # noqa: ARG002
        self._trained = (examples, chosen)

    def finish(self, network: Any, examples: Examples, chosen: Sequence[int], device: str) -> None:  # noqa: ARG002
        self._trained = None

    def loss(self, network: Any, shown: Shown, step: int) -> Tensor:
        images = normalised(shown.need_images)
        assert self._trained is not None
        examples, chosen = self._trained
        if step % -(-len(chosen) // len(images)) == 0:
            _center(network, examples, chosen, str(images.device))
        network.center = network.memory.centers
        loss: Tensor = network(images)[-1]
        return loss

    def answer(self, network: Any, shown: Shown) -> Answer:
        images = normalised(shown.need_images)
        vectors, (grid, *_) = network.generate_embeddings(images, evaluation=True)
        head, _ = network.discriminator.tail
        logits = head(network.discriminator.body(network.projection(vectors))).reshape(len(images), *grid)
        maps = network.anomaly_segmentor.convert_to_segmentation(logits.sigmoid(), device=images.device)
        return Answer(maps, logits.amax((1, 2)))


def _center(network: Any, examples: Examples, chosen: Sequence[int], device: str) -> None:
    """The mean vector of each place over the images, in double precision."""
    import torch

    centers = network.memory.centers
    total = torch.zeros_like(centers, dtype=torch.float64)
    with torch.no_grad():
        for part in examples.parts(chosen):
            images = normalised(part.to(device).need_images)
            total += network.projection(network.generate_embeddings(images, evaluation=True)[0])
    centers.copy_(total / len(chosen))


def _decay(optimizer: Optimizer, *_: object) -> None:
    """Add the projection's weights to its gradients."""
    import torch

    with torch.no_grad():
        for one in optimizer.param_groups[0]["params"]:
            one.grad.add_(one, alpha=DECAY)
