"""The bank of patches and whole images, against a direct reading of its formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from adbench_memory.coreset import Coreset
from adbench_memory.knn import Knn
from adbench_memory.two_scale import TwoScale
from adbench_memory.two_scale_knn import TwoScaleKnn
from adbench_memory.whitening import LEAST_SPREAD, whitening

from adbench import Context, ContractError, DataError, UsageError


@pytest.fixture
def pictures(patch_stream, gaussian_noise):
    """Images of random patches and random image vectors, 5 channels each."""

    def pictures(count, seed=0):
        stream = patch_stream(gaussian_noise(count, 3, 4, 6, seed=seed))
        stream.batches = [stream.batches[0].having(image=gaussian_noise(count, 5, seed=seed + 1))]
        return stream

    return pictures


def fitted(stream, **options):
    bank = TwoScale(**options)
    bank.fit(stream, Context())
    return bank


@pytest.mark.proves("adbench-lite")
def test_image_distances_are_mahalanobis_distances_to_the_nearest_image(pictures):
    normal, (query,) = pictures(30), pictures(7, seed=5)
    bank = fitted(normal, count=10, shrinkage=0.2)
    vectors, asked = normal.batches[0].image.double().numpy(), query.image.double().numpy()
    scale = vectors.std(0)
    correlation = 0.8 * np.corrcoef(vectors.T) + 0.2 * np.eye(5)
    precision = np.linalg.inv(correlation * np.outer(scale, scale))
    apart = asked[:, None] - vectors
    expected = np.sqrt(np.einsum("qnd,de,qne->qn", apart, precision, apart))
    expected = np.sort(expected, axis=1)[:, :3]
    np.testing.assert_allclose(bank.image_distances(query.image, 3).numpy(), expected, rtol=1e-5)


def test_images_that_are_added_stand_beside_the_first_ones_and_can_be_removed(pictures):
    first, more = pictures(12), pictures(3, seed=5)
    more.batches = [more.batches[0].having(ids=("x", "y", "z"))]
    bank = fitted(first, count=10, places=2)
    known, added = first.batches[0].image, more.batches[0].image
    before, means = bank.image_distances(added, 12), bank.place_means
    bank.add(more, Context())
    assert bank.place_means is means
    torch.testing.assert_close(bank.image_distances(torch.cat([known, added])), torch.zeros(15, 1), atol=1e-5, rtol=0)
    bank.remove(["x", "y", "z"])
    torch.testing.assert_close(bank.image_distances(added, 12), before)
    bank.remove([first.ids[0]])
    assert (bank.image_distances(known)[:2, 0] > 1e-3).tolist() == [True, False]


def test_whitened_vectors_vary_alike(gaussian_noise):
    mixed = gaussian_noise(500, 4) @ gaussian_noise(4, 4, seed=1)
    center, basis = whitening(mixed, 1e-9)
    torch.testing.assert_close(torch.cov(((mixed - center) @ basis).T, correction=0), torch.eye(4), atol=1e-4, rtol=0)


def test_a_channel_that_never_moved_counts_as_spread_by_the_floor(gaussian_noise):
    vectors = gaussian_noise(50, 3)
    vectors[:, 1] = 2.0
    center, basis = whitening(vectors, 1.0)
    step = torch.tensor([0.0, 1.0, 0.0]) @ basis
    floor = LEAST_SPREAD * vectors.double().std(0, correction=0).mean()
    assert float(step.norm()) == pytest.approx(1 / float(floor), rel=1e-5)
    assert center[1] == 2


@pytest.mark.proves("adbench-lite")
@pytest.mark.parametrize(
    ("options", "local"), [({}, 9.0), ({"fraction": 0.5}, 6.5), ({"fraction": 0}, 9.0), ({"fraction": 1}, 4.0)]
)
@pytest.mark.parametrize("weight", [0.0, 0.25, 0.5, 1.0])
def test_the_image_score_is_a_geometric_mean(patch_stream, options, local, weight):
    """Patches at 9, 4, 2 and 1 from the only normal one, at 0; the image at 4 from the only normal one."""
    normal, asked = (
        patch_stream(torch.zeros(1, 2, 2, 1)),
        patch_stream(torch.tensor([[[[9.0], [4.0]], [[2.0], [1.0]]]])),
    )
    normal.batches = [normal.batches[0].having(image=torch.zeros(1, 1))]
    bank = fitted(normal, count=1)
    unit = float(bank.image_distances(torch.ones(1, 1)))
    (query,) = (asked.batches[0].having(image=torch.full((1, 1), 4.0 / unit)),)
    scores = TwoScaleKnn(weight=weight, **options).score(query, bank)
    assert scores.patches.tolist() == [[[9, 4], [2, 1]]]
    assert scores.image.tolist() == pytest.approx([local**weight * 4.0 ** (1 - weight)])


@pytest.mark.parametrize("count", [1, 2])
def test_one_image_is_enough(pictures, count):
    (query,) = pictures(4, seed=5)
    scores = TwoScaleKnn().score(query, fitted(pictures(count), count=5))
    assert scores.image.isfinite().all()
    assert len(scores.image.unique()) == 4


@pytest.mark.proves("adbench-lite")
def test_patches_are_scored_as_by_a_coreset(pictures):
    normal, (query,) = pictures(20), pictures(3, seed=5)
    plain = Coreset(count=15)
    plain.fit(normal, Context())
    scores = TwoScaleKnn(k=2).score(query, fitted(normal, count=15))
    assert torch.equal(scores.patches, Knn(k=2).score(query, plain).patches)
    assert scores.image.shape == (3,)


def test_an_image_that_was_learned_from_is_at_distance_zero(pictures):
    normal = pictures(8)
    bank = fitted(normal, count=5)
    assert bank.image_distances(normal.batches[0].image).abs().max() < 1e-4
    assert bank.image_distances(normal.batches[0].image, 100).shape == (8, 8)


def test_the_background_scores_nothing(pictures):
    (query,) = pictures(2, seed=5)
    foreground = torch.zeros(2, 3, 4, dtype=torch.bool)
    foreground[:, 1] = True
    scores = TwoScaleKnn().score(query.having(foreground=foreground), fitted(pictures(6), count=5))
    assert (scores.patches[~foreground] == 0).all()
    assert (scores.patches[foreground] > 0).all()


def test_what_was_learned_is_restored(pictures):
    bank, other, (query,) = fitted(pictures(9), count=5), TwoScale(count=5), pictures(2, seed=5)
    other.restore(bank.state())
    one, two = (TwoScaleKnn().score(query, known) for known in (bank, other))
    assert torch.equal(one.patches, two.patches)
    assert torch.equal(one.image, two.image)


def test_what_is_missing_is_reported(patch_stream, gaussian_noise, pictures):
    with pytest.raises(UsageError, match="learned nothing yet"):
        TwoScale().image_distances(torch.zeros(1, 5))
    with pytest.raises(ContractError, match="reads the image vector"):
        fitted(patch_stream(gaussian_noise(2, 3, 4, 6)))
    with pytest.raises(DataError, match="no image to learn from"):
        fitted(patch_stream())
    with pytest.raises(UsageError, match="shrinkage"):
        TwoScale(shrinkage=0)


def with_places(pictures, count, **options):
    bank = fitted(pictures(count), count=5, places=4, **options)
    (query,) = pictures(3, seed=5)
    return bank, query


@pytest.mark.proves("adbench-lite")
@pytest.mark.parametrize("place", [0.25, 0.5])
def test_a_patch_score_is_a_geometric_mean_with_the_distance_from_its_place(pictures, place):
    bank, query = with_places(pictures, 20)
    near = TwoScaleKnn().score(query, bank).patches
    apart = bank.place_means.distances(query.patches)
    scores = TwoScaleKnn(place_weight=place).score(query, bank).patches
    torch.testing.assert_close(scores, near ** (1 - place) * apart**place)


def test_means_of_places_are_restored(pictures):
    bank, query = with_places(pictures, 20)
    other = TwoScale(count=5, places=4)
    other.restore(bank.state())
    one, two = (TwoScaleKnn(place_weight=0.3).score(query, known) for known in (bank, other))
    assert torch.equal(one.patches, two.patches)


def test_a_bank_without_means_of_places_says_so(pictures):
    (query,) = pictures(2, seed=5)
    with pytest.raises(UsageError, match="places"):
        TwoScaleKnn(place_weight=0.3).score(query, fitted(pictures(6), count=5))
    assert TwoScaleKnn.defaults(TwoScaleKnn.Config(place_weight=0.3))["bank"] == {"two-scale": {"places": 32}}


def test_identities_from_before_the_means_of_places_stay():
    assert "places" not in TwoScale().identity()
    assert "place_weight" not in TwoScaleKnn().identity()
    assert TwoScale(places=32).identity()["places"] == 32
    assert TwoScaleKnn(place_weight=0.3).identity()["place_weight"] == 0.3
