"""SuperSimpleNet: a segmentation network that tells adapted features from the same features with noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from adbench_anomalib.models.adapter import Adapter, Answer, told

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from adbench_anomalib.examples import Layout, Shown


class SuperSimpleNetAdapter(Adapter):
    """anomalib's SuperSimpleNet (arXiv 2408.03143) without labels, on the layers of the recipe's backbone.

    Maps and scores are logits: anomalib's are their sigmoids, which make strong defects equal in single precision.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"layers"})
    rate: ClassVar[float] = 2e-4

    def network(self, layout: Layout) -> Any:
        from anomalib.models.image.supersimplenet import torch_model

        from adbench_anomalib.models.given import GivenLayers, standing_in

        names = [f"layer{number}" for number in range(len(layout.layers))]
        with standing_in(torch_model, GivenLayers([shape[0] for shape in layout.layers], names)):
            return torch_model.SupersimplenetModel(layers=names, stop_grad=True)

    def learned(self, network: Any) -> nn.ModuleDict:
        from torch import nn

        return nn.ModuleDict({"adaptor": network.adaptor, "segdec": network.segdec})

    def optimizer(self, parameters: Sequence[nn.Parameter], rate: float) -> Optimizer:
        """Half the rate, and torch's own decay, for the adaptor, which is one convolution and comes first."""
        import torch

        head = {"params": list(parameters[2:]), "lr": rate, "weight_decay": 1e-5}
        return torch.optim.AdamW([{"params": list(parameters[:2]), "lr": rate / 2}, head])

    def factor(self, done: float) -> float:
        return 1.0 if done < 0.8 else 0.4 if done < 0.9 else 0.16

    def loss(self, network: Any, shown: Shown, step: int) -> Tensor:  # noqa: ARG002
        from anomalib.models.image.supersimplenet.loss import SSNLoss

        images = told(network.feature_extractor.feature_extractor, shown)
        maps, scores, masks, labels = network(images, masks=images[:, 0], labels=images.new_zeros(len(images)))
        loss: Tensor = SSNLoss()(maps, scores, masks, labels)
        return loss

    def answer(self, network: Any, shown: Shown) -> Answer:
        features = network.feature_extractor(told(network.feature_extractor.feature_extractor, shown))
        maps, scores = network.segdec(seg_features=network.adaptor(features), cls_features=features)
        return Answer(network.anomaly_map_generator(maps, final_size=shown.size)[:, 0], scores)
