"""The public rules, for every component of the package."""

from __future__ import annotations

import pytest
from adbench_sam.sam import Sam

from adbench.testing import parametrize_with_checks

pytestmark = pytest.mark.slow

TINY = {"model": "tiny", "weights": "random", "pred_iou_thresh": 0, "stability_score_thresh": 0, "points_per_side": 2}
"""Random weights are never confident."""

COMPONENTS = [
    Sam(**TINY),
    Sam(**TINY, keep="all", border_share=0.9, box_nms_thresh=1),
    Sam(**TINY, prompt="centre", keep="confident"),
    Sam(**TINY, prompt="centre", library="transformers"),
]


@parametrize_with_checks(COMPONENTS)
def test_conforms(check):
    check()
