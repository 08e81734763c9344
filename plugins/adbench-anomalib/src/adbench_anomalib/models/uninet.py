"""UniNet: a student redraws the layers of two teachers, of which one learns the images of the category."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from adbench.weights import hub_file, is_head, load_strictly
from adbench_anomalib.models.adapter import Adapter, Answer, Setting, normalised

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from adbench_anomalib.examples import Layout, Shown

FILE = "model.safetensors"

TEACHERS_SHARE = 2e-4
"""Of the rate, at which the second teacher learns."""


class UniNetAdapter(Adapter):
    """anomalib's UniNet (CVPR 2025) without labels. Its second teacher learns: the ResNet is a part of the model."""

    rate: ClassVar[float] = 5e-3
    usual: ClassVar[str] = "wide_resnet50_2"
    architectures: ClassVar[tuple[str, ...] | None] = (
        "wide_resnet50_2",
        "wide_resnet101_2",
        "resnet50",
        "resnet101",
        "resnet152",
        "resnext50_32x4d",
        "resnext101_32x8d",
    )
    multiple: ClassVar[int] = 32
    least: ClassVar[int] = 32
    own: ClassVar[bool] = True

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._of_teacher = 0

    @classmethod
    def pretrained(cls, architecture: str) -> tuple[Path, str]:
        """Find torchvision's weights, which are anomalib's, in timm's copy."""
        repo = f"timm/{architecture}.tv2_in1k"
        return hub_file(repo, FILE), f"{repo}/{FILE}"

    def network(self, layout: Layout) -> Any:  # noqa: ARG002  it is convolutional
        from anomalib.models.image.uninet import torch_model
        from anomalib.models.image.uninet.components import UniNetLoss

        from adbench_anomalib.models.given import replaced

        with replaced(torch_model.Teachers, _get_teacher=staticmethod(self._teacher)):
            network = torch_model.UniNetModel(self.architecture, self.architecture, UniNetLoss(temperature=0.1))
        network.teachers.source_teacher.requires_grad_(requires_grad=False)
        network.fc.requires_grad_(requires_grad=False)  # anomalib's optimiser does not have it
        self._of_teacher = len(list(network.teachers.target_teacher.parameters()))
        return network

    def learned(self, network: Any) -> nn.ModuleDict:
        """The teacher comes last; the head `fc` keeps its initial weights."""
        from torch import nn

        parts = {name: getattr(network, name) for name in ("student", "bottleneck", "dfs", "fc")}
        return nn.ModuleDict({**parts, "target_teacher": network.teachers.target_teacher})

    def brought(self, network: Any) -> nn.Module:
        teacher: nn.Module = network.teachers.source_teacher
        return teacher

    def optimizer(self, parameters: Sequence[nn.Parameter], rate: float) -> Optimizer:
        import torch

        at = len(parameters) - self._of_teacher
        groups: list[dict[str, Any]] = [
            {"params": parameters[:at]},
            {"params": parameters[at:], "lr": rate * TEACHERS_SHARE},
        ]
        return torch.optim.AdamW(groups, lr=rate, weight_decay=1e-5, eps=1e-10, amsgrad=True)

    def factor(self, done: float) -> float:
        return 1.0 if done < 0.8 else 0.2

    def loss(self, network: Any, shown: Shown, step: int) -> Tensor:  # noqa: ARG002
        images = normalised(shown.need_images)
        network.teachers.source_teacher.eval()
        loss: Tensor = network(images, labels=images.new_zeros(len(images)))
        return loss

    def answer(self, network: Any, shown: Shown) -> Answer:
        found = network(normalised(shown.need_images))
        return Answer(found.anomaly_map, found.pred_score[:, 0])

    def _teacher(self, architecture: str) -> nn.Module:
        """A ResNet up to its third layer, with the weights that both teachers begin with."""
        import torchvision
        from torchvision.models.feature_extraction import create_feature_extractor

        source = self.setting.weights
        assert source is not None
        with source.seeded():
            whole = getattr(torchvision.models, architecture)(weights=None)
        made: nn.Module = create_feature_extractor(whole, return_nodes=["layer3", "layer2", "layer1"])
        own = made.state_dict()
        state = source.read(lambda part: len(own.keys() & part.keys()))
        if state is not None:
            load_strictly(made, state, self.setting.who, lambda name: is_head(name) or name.startswith("layer4."))
        return made
