"""The public rules, for every backbone of the package."""

from __future__ import annotations

from adbench_timm.models import EfficientNetLite0, ResNet18, ResNet50, Timm, WideResNet50

from adbench.testing import parametrize_with_checks

BACKBONES = [
    EfficientNetLite0(),
    ResNet18(weights="random"),
    ResNet50(weights="random", layers=1),
    WideResNet50(weights="random", layers=1),
    Timm(model="vit_tiny_patch16_224", layers=(1, 3), weights="random"),
    Timm(model="mobilenetv3_small_050", layers="blocks.1", weights="random"),
]


@parametrize_with_checks(BACKBONES)
def test_conforms(check):
    check()
