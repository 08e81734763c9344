"""The public rules, for one model of each kind; the other fixed ones differ from ResNet-18 by a name alone."""

from __future__ import annotations

import pytest
from adbench_timm.models import EfficientNetLite0, ResNet18, Timm

from adbench.testing import parametrize_with_checks

pytestmark = pytest.mark.slow

BACKBONES = [
    EfficientNetLite0(),
    ResNet18(weights="random", layers=(1, 2)),
    Timm(model="vit_tiny_patch16_224", layers=(1, 3), weights="random"),
]


@parametrize_with_checks(BACKBONES)
def test_conforms(check):
    check()
