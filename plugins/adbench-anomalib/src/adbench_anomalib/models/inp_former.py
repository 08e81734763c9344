"""INP-Former: a decoder redraws the layers of DINOv2 from a few prototypes of the image itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from adbench_anomalib.models.adapter import Answer, normalised
from adbench_anomalib.models.dinomaly import DinomalyAdapter, anomalibs_positions

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from adbench_anomalib.examples import Shown

PROTOTYPES = 6


class InpFormerAdapter(DinomalyAdapter):
    """anomalib's INP-Former (arXiv 2503.02424), which has Dinomaly's encoder, optimiser and schedule."""

    rate: ClassVar[float] = 1e-3
    square: ClassVar[bool] = True

    def built(self) -> Any:
        from anomalib.models.image.inp_former import torch_model

        from adbench_anomalib.models.given import standing_in

        with standing_in(torch_model, None):
            return torch_model.InpFormerModel(self.architecture, inp_num=PROTOTYPES, remove_class_token=True)

    def start(self, network: Any) -> None:
        from torch import nn

        super().start(network)
        for prototype in network.prototype_token:
            nn.init.normal_(prototype)

    def learned(self, network: Any) -> nn.ModuleDict:
        from torch import nn

        names = ("bottleneck", "decoder", "aggregation", "prototype_token")
        return nn.ModuleDict({name: getattr(network, name) for name in names})

    def optimizer(self, parameters: Sequence[nn.Parameter], rate: float) -> Optimizer:
        from anomalib.models.image.dinomaly.components import StableAdamW

        made: Optimizer = StableAdamW(parameters, lr=rate, weight_decay=1e-4, amsgrad=True, eps=1e-10)
        return made

    def loss(self, network: Any, shown: Shown, step: int) -> Tensor:  # noqa: ARG002
        with anomalibs_positions():
            loss: Tensor = network(normalised(shown.need_images))
        return loss

    def answer(self, network: Any, shown: Shown) -> Answer:
        with anomalibs_positions():
            found = network(normalised(shown.need_images))
        return Answer(found.anomaly_map[:, 0], found.pred_score)
