"""The public rules, for every kind of model in the package."""

from __future__ import annotations

import pytest
from adbench_dino.dinov2 import DinoV2
from adbench_dino.dinov3 import DinoV3

from adbench.testing import parametrize_with_checks

pytestmark = pytest.mark.slow

BACKBONES = [
    DinoV3(size="tiny", resolution=64, weights="random"),
    DinoV3(size="convnext-tiny", resolution=64, layers=(0, 1), weights="random"),
    DinoV2(resolution=70, layers=(0, 1), weights="random"),
]


@parametrize_with_checks(BACKBONES)
def test_conforms(check):
    check()
