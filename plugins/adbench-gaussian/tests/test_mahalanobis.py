"""What the scorer says, of patches and of images."""

from __future__ import annotations

import math

import pytest
import torch
from adbench_gaussian.clusters import ClusterGaussians
from adbench_gaussian.mahalanobis import Mahalanobis
from adbench_gaussian.padim import Padim
from adbench_gaussian.prototypes import Prototypes
from adbench_gaussian.whitened import Whitened

from adbench import Context, ImageScores, UsageError
from adbench.builtin.stages.aggregators import MapTopFraction
from adbench.engine.evaluate.aggregation import aggregable
from adbench.engine.evaluate.anomaly_map import anomaly_map
from adbench.engine.plan.map_spec import MapSpec


@pytest.fixture
def on_a_line():
    """Spheres of radius 1 around 0, 1, 3 and 9."""
    bank = Whitened()
    bank.learn(ClusterGaussians(torch.tensor([[0.0], [1.0], [3.0], [9.0]])))
    return bank


@pytest.fixture
def query(patch_stream):
    """One image with patches at 1.5 and 5."""
    return patch_stream(torch.tensor([1.5, 5.0]).reshape(1, 1, 2, 1)).batches[0]


def test_distances_and_squares(on_a_line, query):
    assert Mahalanobis().score(query, on_a_line).patches.tolist() == [[[0.5, 2]]]
    assert Mahalanobis(squared=True).score(query, on_a_line).patches.tolist() == [[[0.25, 4]]]
    assert Mahalanobis().score(query, on_a_line).image is None


@pytest.mark.proves("mh-patchcore")
def test_the_weight_by_hand(on_a_line, query):
    """The highest patch is at 5, 2 from the mean at 3; around that are 1 and 0, 4 and 5 away."""
    expected = {
        "anomalib": 1 - math.exp(2) / (math.exp(2) + math.exp(4)),
        "eq7": 1 - math.exp(2) / (math.exp(4) + math.exp(5)),
    }
    for form, known in expected.items():
        scores = Mahalanobis(reweight=2, reweight_form=form).score(query, on_a_line)
        assert scores.image.tolist() == pytest.approx([2 * known], rel=1e-5)
    scores = Mahalanobis(reweight=2, squared=True).score(query, on_a_line)
    assert scores.image.tolist() == pytest.approx([4 * (1 - 1 / (1 + math.exp(16 - 4)))], rel=1e-5)


@pytest.mark.parametrize("border", ["symmetric", "reflect"])
def test_the_image_scores_the_highest_value_of_its_smoothed_map(border, patch_stream, gaussian_noise):
    bank = Padim()
    bank.fit(patch_stream(gaussian_noise(6, 4, 6, 3)), Context())
    (query,) = patch_stream(gaussian_noise(2, 4, 6, 3, seed=1))
    scores = Mahalanobis(image_sigma=4, image_border=border).score(query, bank)
    spec = MapSpec(sigma=4, at="input", border=border)
    expected = [anomaly_map(one.numpy(), query.geometry[0], spec).max() for one in scores.patches]
    assert scores.image.tolist() == pytest.approx(expected, rel=1e-5)


def test_an_aggregator_that_reads_the_map_scores_as_padim(patch_stream, gaussian_noise):
    """The highest pixel of the recipe's map is what the scorer computes by itself with image_sigma."""
    bank = Padim()
    bank.fit(patch_stream(gaussian_noise(6, 4, 6, 3)), Context())
    (query,) = patch_stream(gaussian_noise(2, 4, 6, 3, seed=1))
    scores = Mahalanobis(image_sigma=4).score(query, bank)
    images = [ImageScores(name, one, size=(32, 48)) for name, one in zip(query.ids, scores.patches, strict=True)]
    aggregator = MapTopFraction(fraction=0)
    found = aggregator.aggregate(aggregable(images, aggregator, MapSpec(sigma=4), dropped=False))
    assert found.tolist() == pytest.approx(scores.image.tolist(), rel=1e-5)


def test_the_background_does_not_count(on_a_line, query):
    hidden = query.having(foreground=torch.tensor([[[True, False]]]))
    scores = Mahalanobis(reweight=1).score(hidden, on_a_line)
    assert scores.patches.tolist() == [[[0.5, 0]]]
    assert scores.image.tolist() == [0.5]


def test_places_have_no_neighbours(patch_stream, gaussian_noise):
    bank = Padim()
    bank.fit(patch_stream(gaussian_noise(6, 4, 6, 3)), Context())
    (query,) = patch_stream(gaussian_noise(2, 4, 6, 3, seed=1))
    with pytest.raises(UsageError, match="reweight=9 .* use reweight=0, or the bank 'whitened'"):
        Mahalanobis(reweight=9).score(query, bank)


def test_an_image_has_one_score():
    with pytest.raises(UsageError, match="both make the image score"):
        Mahalanobis(reweight=9, image_sigma=4)


@pytest.mark.parametrize(
    ("options", "gives", "defaults"),
    [
        ({}, {"patches"}, {"bank": {"padim": {}}, "aggregate": "max"}),
        ({"image_sigma": 4}, {"patches", "image"}, {"bank": {"padim": {}}, "aggregate": "scorer"}),
        ({"reweight": 9}, {"patches", "image"}, {"bank": {"whitened": {}}, "aggregate": "scorer"}),
    ],
)
def test_what_it_gives_and_asks_for(options, gives, defaults):
    config = Mahalanobis(**options).config
    assert Mahalanobis.gives(config) == gives
    assert Mahalanobis.defaults(config) == defaults


def modes_by_hand(offset, precision):
    """Shares by eigenvectors, mode 1 with the largest variance."""
    values, vectors = torch.linalg.eigh(precision.double())
    squares = values * (vectors.T @ offset.double()).square()
    return squares / squares.sum()


def test_modes_have_the_shares_of_the_squared_distance(patch_stream, gaussian_noise):
    grids = gaussian_noise(9, 2, 3, 5)
    bank = Padim(dim=4)
    bank.fit(patch_stream(grids), Context())
    (query,) = patch_stream(gaussian_noise(1, 2, 3, 5, seed=1))
    found = Mahalanobis(squared=True).compare(query, bank, (1, 2))
    offset = query.patches[0, 1, 2] - bank.mean[1, 2]
    kept = bank.gaussians.channels
    expected = modes_by_hand(offset[kept], bank.precision[1, 2][kept][:, kept])
    assert found.modes.tolist() == pytest.approx(expected.tolist(), rel=1e-3)
    assert found.distance == pytest.approx(Mahalanobis().score(query, bank).patches[0, 1, 2].item())
    assert found.nearest is None
    assert found.channels is None
    assert "couples the channels" in found.reasons["layers"]
    assert "no single one is the nearest" in found.reasons["nearest"]


@pytest.mark.parametrize("bank", [Whitened(count=3), Prototypes(count=2), Prototypes(count=2, covariance="cluster")])
def test_modes_of_clusters_are_those_of_the_nearest_one(bank, patch_stream, gaussian_noise):
    spread = torch.tensor([5.0, 1.0, 0.2])
    bank.fit(patch_stream(gaussian_noise(6, 4, 4, 3) * spread), Context())
    (query,) = patch_stream(gaussian_noise(1, 1, 2, 3, seed=1) * spread)
    found = Mahalanobis().compare(query, bank, (0, 1))
    squared, nearest = bank.gaussians.nearest(query.patches, "")
    offset = query.patches[0, 0, 1] - bank.mean[nearest[0, 0, 1]]
    expected = modes_by_hand(offset, bank.precision[nearest[0, 0, 1]])
    assert found.modes.tolist() == pytest.approx(expected.tolist(), rel=1e-2, abs=1e-4)
    assert found.distance == pytest.approx(squared[0, 0, 1].sqrt().item(), rel=1e-4)


def test_a_patch_at_the_mean_has_no_modes(on_a_line, patch_stream):
    (query,) = patch_stream(torch.tensor([3.0]).reshape(1, 1, 1, 1))
    found = Mahalanobis().compare(query, on_a_line, (0, 0))
    assert (found.distance, found.modes) == (0.0, None)
    assert "the distance is 0" in found.reasons["modes"]
