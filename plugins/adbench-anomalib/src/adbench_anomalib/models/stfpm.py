"""STFPM: a student that learns the layers of a frozen teacher from the images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import UsageError
from adbench_anomalib.models.adapter import Adapter, Answer, normalised

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from adbench_anomalib.examples import Layout, Shown


class StfpmAdapter(Adapter):
    """anomalib's STFPM (arXiv 2103.04257). The teacher is the recipe's backbone.

    The student is any network of timm's with layers of the same shapes, with random initial weights.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"layers", "images"})
    rate: ClassVar[float] = 0.4
    usual: ClassVar[str] = "resnet18"
    architectures: ClassVar[tuple[str, ...] | None] = None
    least: ClassVar[int] = 32

    def network(self, layout: Layout) -> Any:
        from anomalib.models.image.stfpm import torch_model

        from adbench_anomalib.models.given import GivenLayers, standing_in

        names = self._matching(layout)
        with standing_in(torch_model, GivenLayers([shape[0] for shape in layout.layers], names)):
            return torch_model.STFPMModel(layers=names, backbone=self.architecture)

    def learned(self, network: Any) -> nn.ModuleDict:
        from torch import nn

        return nn.ModuleDict({"student_model": network.student_model})

    def optimizer(self, parameters: Sequence[nn.Parameter], rate: float) -> Optimizer:
        import torch

        return torch.optim.SGD(parameters, lr=rate, momentum=0.9, weight_decay=0.001)

    def loss(self, network: Any, shown: Shown, step: int) -> Tensor:  # noqa: ARG002
        from anomalib.models.image.stfpm.loss import STFPMLoss

        network.teacher_model.held = shown.layers
        loss: Tensor = STFPMLoss()(*network(normalised(shown.need_images)))
        return loss

    def answer(self, network: Any, shown: Shown) -> Answer:
        network.teacher_model.held = shown.layers
        found = network(normalised(shown.need_images))
        return Answer(found.anomaly_map[:, 0], found.pred_score[:, 0])

    def _matching(self, layout: Layout) -> list[str]:
        """The names of the student's layers that have the shapes of the teacher's."""
        import timm

        if not timm.is_model(self.architecture):
            raise UsageError(f"{self.setting.who}: timm has no model {self.architecture!r} for the student")
        student: Any = timm.create_model(self.architecture, pretrained=False, features_only=True)
        about = student.feature_info.info
        names = {
            (each["num_chs"], *(-(-side // each["reduction"]) for side in layout.size)): each["module"]
            for each in about
        }
        if missing := [shape for shape in layout.layers if shape not in names]:
            channels, height, width = missing[0]
            raise UsageError(
                f"{self.setting.who}: the student {self.architecture} has no layer of {height} x {width} x {channels}"
                " values, which the backbone gives; let architecture name the backbone's own network"
            )
        return [names[shape] for shape in layout.layers]
