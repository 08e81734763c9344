"""Residuals and image scores by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from adbench_reconstruction.residual import Residual, distances
from scipy.ndimage import gaussian_filter

from adbench import ContractError, Features, Geometry, ReconstructionBank, UsageError


class Says(ReconstructionBank):
    """A bank that says what it is told to."""

    name = "says"

    def __init__(self, answer, image=None):
        super().__init__()
        self.answer, self.image = answer, image

    def fit(self, features, ctx):
        pass

    def reconstruct(self, features):
        return self.answer

    def reconstruct_image(self, features):
        return super().reconstruct_image(features) if self.image is None else self.image

    def state(self):
        return {}

    def restore(self, state):
        pass


def query(patches, **fields):
    ids = tuple(map(str, range(len(patches))))
    return Features(ids=ids, geometry=(Geometry.whole(32, 48),) * len(ids), patches=patches, **fields)


@pytest.mark.parametrize(("distance", "expected"), [("l2-squared", 25.0), ("l2", 5.0), ("cosine", 1 - 0.6)])
def test_distances_by_hand(distance, expected):
    patches, seen = torch.tensor([[[[3.0, 4.0]]]]), torch.tensor([[[[0.0, 0.0]]]])
    if distance == "cosine":
        seen = torch.tensor([[[[2.0, 0.0]]]])
    assert distances(patches, seen, distance).item() == pytest.approx(expected, abs=1e-6)


def test_black_is_like_black_and_unlike_all_else():
    patches = torch.zeros(1, 1, 2, 3)
    seen = torch.tensor([[[[0.0, 0, 0], [1, 2, 3]]]])
    assert distances(patches, seen, "cosine").flatten().tolist() == [0, 1]


def test_the_image_score_is_counted_at_the_size_of_the_prepared_image(draw):
    patches = draw(2, 4, 6, 3)
    seen = Residual(image_fraction=0.01, image_sigma=2.0).score(query(patches), Says(torch.zeros_like(patches)))
    (height, width), *_ = {place.size for place in query(patches).geometry}
    for grid, score in zip(seen.patches, seen.image, strict=True):
        large = torch.nn.functional.interpolate(grid[None, None].double(), (height, width), mode="bilinear")[0, 0]
        smooth = np.sort(gaussian_filter(large.numpy(), 2.0, mode="reflect"), axis=None)
        highest = max(1, int(0.01 * height * width))
        assert score.item() == pytest.approx(smooth[-highest:].mean(), rel=1e-6)


def test_the_background_does_not_count_for_the_image(draw):
    patches, inside = draw(1, 4, 6, 3), torch.ones(1, 4, 6, dtype=torch.bool)
    inside[0, 0, 0] = False
    spoilt = patches.clone()
    spoilt[0, 0, 0] = 100
    scorer = Residual(image_fraction=0.01)
    bank = Says(torch.zeros_like(patches))
    clean, stained = (scorer.score(query(one, foreground=inside), bank) for one in (patches, spoilt))
    assert torch.equal(clean.image, stained.image)
    assert not torch.equal(clean.patches, stained.patches)


@pytest.mark.proves("subspace-lite")
@pytest.mark.parametrize("weight", [0.25, 0.5])
def test_the_image_score_is_the_weighted_geometric_mean_of_both_scales(weight, draw):
    patches, vectors = draw(2, 4, 6, 3), torch.tensor([[3.0, 4.0], [6.0, 8.0]])
    bank, asked = Says(torch.zeros_like(patches), torch.zeros(2, 2)), query(patches, image=vectors)
    options = {"distance": "l2", "image_fraction": 0.01}
    alone = Residual(**options).score(asked, bank)
    both = Residual(**options, image_weight=weight).score(asked, bank)
    expected = alone.image ** (1 - weight) * torch.tensor([5.0, 10.0]) ** weight
    torch.testing.assert_close(both.image, expected)
    assert torch.equal(both.patches, alone.patches)


def test_the_weight_of_the_image_is_absent_from_older_identities():
    assert "image_weight" not in Residual(image_fraction=0.01).identity()
    assert Residual().needs == {"patches"}
    assert Residual(image_fraction=0.01, image_weight=0.5).needs == {"patches", "image"}


def test_a_bank_of_patches_alone_is_refused_where_the_image_counts(draw):
    patches = draw(1, 4, 6, 3)
    asked = query(patches, image=torch.ones(1, 2))
    with pytest.raises(UsageError, match=r"bank 'says' reconstructs no image vectors; use a bank that does"):
        Residual(image_fraction=0.01, image_weight=0.5).score(asked, Says(torch.zeros_like(patches)))


@pytest.mark.parametrize("answer", [torch.zeros(1, 3), torch.tensor([[torch.nan, 0]])])
def test_an_unsound_image_vector_is_the_banks_fault(answer, draw):
    patches = draw(1, 4, 6, 3)
    asked = query(patches, image=torch.ones(1, 2))
    with pytest.raises(ContractError, match=r"bank 'says'.*reconstruct_image\(\) must return"):
        Residual(image_fraction=0.01, image_weight=0.5).score(asked, Says(torch.zeros_like(patches), answer))


def test_an_answer_of_another_shape_is_the_banks_fault(draw):
    with pytest.raises(ContractError, match=r"bank 'says'.*\[1, 4, 6, 3\].*\[1, 2, 6, 3\]"):
        Residual().score(query(draw(1, 4, 6, 3)), Says(draw(1, 2, 6, 3)))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_answer_that_is_not_finite_is_the_banks_fault(value, draw):
    with pytest.raises(ContractError, match="finite"):
        Residual().score(query(draw(1, 4, 6, 3)), Says(torch.full((1, 4, 6, 3), value)))


@pytest.mark.parametrize(
    "options",
    [
        {"distance": "l3"},
        {"image_fraction": -0.1},
        {"image_fraction": 1.1},
        {"image_sigma": 4},
        {"image_fraction": 0.01, "image_kernel": 3},
        {"image_fraction": 0.01, "image_kernel": 4, "image_sigma": 4},
        {"image_fraction": 0.01, "image_sigma": -1},
        {"image_border": "wrap"},
        {"image_weight": 0.5},
        {"image_fraction": 0.01, "image_weight": 1},
        {"image_fraction": 0.01, "image_weight": -0.1},
    ],
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(UsageError, match="of scorer 'residual'"):
        Residual(**options)


@pytest.mark.parametrize(("distance", "expected"), [("l2-squared", 5.0), ("l2", 5.0), ("cosine", 1 - 0.6)])
def test_a_patch_is_compared_with_its_reconstruction(distance, expected):
    patches = torch.tensor([[[[9.0, 9.0], [3.0, 4.0]]]])
    seen = torch.tensor([[[[9.0, 9.0], [2.0, 0.0] if distance == "cosine" else [0.0, 0.0]]]])
    found = Residual(distance=distance).compare(query(patches), Says(seen), (0, 1))
    assert found.distance == pytest.approx(expected, abs=1e-6)
    shares = [0.4**2, 0.8**2] if distance == "cosine" else [9.0, 16.0]
    assert found.channels.tolist() == pytest.approx([one / sum(shares) for one in shares], rel=1e-5)
    assert "cannot redraw" in found.reasons["modes"]
    assert "own reconstruction" in found.reasons["nearest"]
    known = Residual(distance=distance).compare(query(patches), Says(seen), (0, 0))
    assert (known.distance, known.channels) == (pytest.approx(0, abs=1e-6), None)
