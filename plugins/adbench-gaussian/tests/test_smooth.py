"""The highest value of a smoothed map is that of the map that the engine makes."""

from __future__ import annotations

import pytest
import torch
from adbench_gaussian.smooth import highest_smoothed

from adbench import Geometry
from adbench.engine.evaluate.anomaly_map import anomaly_map
from adbench.engine.plan.map_spec import MapSpec


@pytest.mark.parametrize("border", ["symmetric", "reflect"])
@pytest.mark.parametrize("size", [(56, 56), (40, 72), (12, 9)])
def test_as_the_engine_makes_it(border, size, draw):
    scores, geometry = draw(3, 6, 9).abs(), (Geometry.whole(*size),) * 3
    spec = MapSpec(upsample="bilinear", sigma=2.5, at="input", border=border)
    expected = [anomaly_map(one.numpy(), place, spec).max() for one, place in zip(scores, geometry, strict=True)]
    seen = highest_smoothed(scores, geometry, 2.5, border)
    assert seen.dtype == torch.float32
    assert seen.tolist() == pytest.approx(expected, rel=1e-5)


def test_the_prepared_image_counts_not_the_original(draw):
    scores = draw(1, 6, 9).abs()
    small, large = (Geometry.whole(600, 900).resized(*size) for size in ((24, 36), (240, 360)))
    assert highest_smoothed(scores, (small,), 4, "reflect") < highest_smoothed(scores, (large,), 4, "reflect")


def test_what_does_not_vary_stays(draw):
    scores = torch.full((2, 4, 4), 3.25)
    geometry = (Geometry.whole(32, 32), Geometry.whole(64, 40))
    assert highest_smoothed(scores, geometry, 4, "reflect").tolist() == pytest.approx([3.25, 3.25])
