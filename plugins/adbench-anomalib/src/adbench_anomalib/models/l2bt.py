"""L2BT: two networks that guess one layer of a frozen transformer from another, forward and backward."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from adbench import UsageError
from adbench_anomalib.models.adapter import Adapter, Answer, told

if TYPE_CHECKING:
    from torch import Tensor, nn

    from adbench_anomalib.examples import Layout, Shown


class L2btAdapter(Adapter):
    """anomalib's L2BT, for images, on two layers of the recipe's backbone: blocks 8 and 12 of DINOv2 in anomalib.

    Its preparation pads images to squares; here the recipe's preparation counts.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"layers"})
    rate: ClassVar[float] = 1e-4

    def network(self, layout: Layout) -> Any:
        if len(layout.layers) != 2 or layout.layers[0][0] != layout.layers[1][0]:
            channels = ", ".join(str(shape[0]) for shape in layout.layers)
            raise UsageError(
                f"{self.setting.who} reads two layers of the same channels, but the backbone gives {channels}; name two"
                " blocks of a transformer"
            )
        from adbench_anomalib.models.tokens import GivenPair

        given = GivenPair(layout, self.setting.who)
        given.embed_dim = layout.layers[0][0]
        from anomalib.models.image.l2bt import torch_model

        from adbench_anomalib.models.given import replaced

        with replaced(torch_model, FeatureExtractor=lambda **_: given):
            return torch_model.L2BTModel()

    def learned(self, network: Any) -> nn.ModuleDict:
        from torch import nn

        return nn.ModuleDict({"backward_net": network.backward_net, "forward_net": network.forward_net})

    def loss(self, network: Any, shown: Shown, step: int) -> Tensor:  # noqa: ARG002
        loss: Tensor = network(told(network.teacher, shown))["loss"]
        return loss

    def answer(self, network: Any, shown: Shown) -> Answer:
        found = network(told(network.teacher, shown))
        return Answer(found.anomaly_map[:, 0], found.pred_score)
