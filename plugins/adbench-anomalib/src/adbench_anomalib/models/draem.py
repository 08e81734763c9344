"""DRAEM: one network redraws images without the textures pasted into them, another finds where these were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from adbench_anomalib.models.adapter import Adapter, Answer

if TYPE_CHECKING:
    from torch import Tensor, nn

    from adbench_anomalib.examples import Layout, Shown


class DraemAdapter(Adapter):
    """anomalib's DRAEM (arXiv 2108.07610), without any pretrained weights.

    Without a folder of textures, anomalib's noise is pasted in their place, which is not the published method. Maps are
    log-odds: anomalib's are their sigmoids, which make strong defects equal in single precision.
    """

    rate: ClassVar[float] = 1e-4
    multiple: ClassVar[int] = 32
    least: ClassVar[int] = 32

    def network(self, layout: Layout) -> Any:  # noqa: ARG002  it is convolutional
        from anomalib.data.utils.generators.perlin import PerlinAnomalyGenerator
        from anomalib.models.image.draem.torch_model import DraemModel

        network = DraemModel(sspcab=False)
        network.planter = PerlinAnomalyGenerator(self.setting.auxiliary, blend_factor=(0.1, 1.0))
        return network

    def learned(self, network: Any) -> nn.ModuleDict:
        from torch import nn

        names = ("reconstructive_subnetwork", "discriminative_subnetwork")
        return nn.ModuleDict({name: getattr(network, name) for name in names})

    def factor(self, done: float) -> float:
        """A tenth after 400, and again after 600, of 700 epochs."""
        return 1.0 if done < 4 / 7 else 0.1 if done < 6 / 7 else 0.01

    def loss(self, network: Any, shown: Shown, step: int) -> Tensor:  # noqa: ARG002
        from anomalib.models.image.draem.loss import DraemLoss

        images = shown.need_images
        planted, masks = network.planter(images)
        redrawn, prediction = network(planted)
        loss: Tensor = DraemLoss()(images, redrawn, masks, prediction)
        return loss

    def answer(self, network: Any, shown: Shown) -> Answer:
        import torch

        images = shown.need_images
        pair = torch.cat([images, network.reconstructive_subnetwork(images)], dim=1)
        normal, defective = network.discriminative_subnetwork(pair).unbind(1)
        odds = defective - normal
        return Answer(odds, odds.amax((1, 2)))
