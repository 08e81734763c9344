"""An aggregator that reads the map is given the recipe's, on the pixels of the prepared image."""

import pytest
import torch

from adbench import ContractError, Geometry, ImageScores
from adbench.builtin.stages.aggregators import MapTopFraction, Max
from adbench.engine.evaluate.aggregation import aggregable
from adbench.engine.evaluate.anomaly_map import anomaly_map
from adbench.engine.plan.map_spec import MapSpec

SPEC = MapSpec(sigma=2.0)


@pytest.fixture
def images(gaussian_noise):
    inside = torch.ones(4, 6, dtype=torch.bool)
    inside[0, :3] = False
    return [
        ImageScores(f"image {number}", gaussian_noise(4, 6, seed=number), foreground=inside, size=(32, 48))
        for number in range(3)
    ]


def test_the_map_is_the_recipes(images):
    for spec in (SPEC, MapSpec(sigma=0, upsample="nearest"), MapSpec(floor=0.5)):
        seen = aggregable(images, MapTopFraction(), spec, dropped=False)
        for image, one in zip(images, seen, strict=True):
            expected = anomaly_map(image.patches.numpy(), Geometry.whole(32, 48), spec)
            assert torch.equal(one.need_map("test"), torch.from_numpy(expected))


def test_its_highest_pixels_are_the_image_score(images):
    seen = aggregable(images, MapTopFraction(), SPEC, dropped=False)
    maps = [one.need_map("test").flatten().sort(descending=True).values for one in seen]
    assert MapTopFraction(fraction=0).aggregate(seen).tolist() == [one[0].item() for one in maps]
    expected = [one[:15].mean().item() for one in maps]  # int(0.01 * 1536) pixels
    assert MapTopFraction().aggregate(seen).tolist() == pytest.approx(expected)


def test_an_aggregator_of_patches_is_given_no_map(images):
    seen = aggregable(images, Max(), SPEC, dropped=False)
    assert all(one.to_map is None for one in seen)
    with pytest.raises(ContractError, match=r"reads the anomaly map, which is there for aggregators with reads='map'"):
        MapTopFraction().aggregate(seen)


def test_where_patches_are_dropped_the_map_is_still_of_the_whole_image(images):
    whole, dropped = (aggregable(images, MapTopFraction(), SPEC, dropped=dropped) for dropped in (False, True))
    for one, other in zip(whole, dropped, strict=True):
        assert other.patches.shape == (1, 21)
        assert torch.equal(one.need_map("test"), other.need_map("test"))
