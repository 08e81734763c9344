"""Comparisons of patches: shares by hand, and what a component that says nothing gives."""

import pytest
import torch

from adbench import Context, Features, Geometry
from adbench.api.comparisons.nearest import compare_with_nearest, shares_of
from adbench.api.comparisons.patch import NormalPatch
from adbench.builtin.toy import ToyEnergyScorer, ToyVectors


@pytest.fixture
def bank():
    """Vectors of two images, which keeps no places."""
    features = Features(
        ids=("a", "b"),
        geometry=(Geometry.whole(8, 8),) * 2,
        patches=torch.tensor([[[[0.0, 0.0]]], [[[10.0, 0.0]]]]),
    )
    bank = ToyVectors(fraction=1.0)
    bank.fit([features], Context())
    return bank


def test_shares_are_parts_of_the_squared_distance():
    assert shares_of(torch.tensor([3.0, 4.0, 1.0]), torch.tensor([0.0, 0.0, 1.0])).tolist() == [0.36, 0.64, 0.0]
    assert shares_of(torch.ones(3), torch.ones(3)) is None


def test_the_nearest_vector_with_its_image_and_the_reason_for_no_place(bank):
    found = compare_with_nearest(torch.tensor([7.0, 4.0]), bank)
    assert found.distance == 5.0
    assert found.nearest == NormalPatch("b", None)
    assert found.channels.tolist() == [0.36, 0.64]
    assert "holds no places" in found.reasons["place"]
    assert found.modes is None
    assert "modes" not in found.reasons


def test_a_cosine_distance_compares_directions(bank):
    found = compare_with_nearest(torch.tensor([2.0, 2.0]), bank, "cosine")
    assert found.distance == pytest.approx(1 - 0.5**0.5)
    assert found.nearest.image == "b"
    first, second = (1 - 0.5**0.5) ** 2, 0.5
    assert found.channels.tolist() == pytest.approx([first / (first + second), second / (first + second)], rel=1e-5)


def test_a_patch_that_is_known_has_no_shares(bank):
    found = compare_with_nearest(torch.tensor([10.0, 0.0]), bank)
    assert (found.distance, found.channels) == (0.0, None)
    assert "the distance is 0" in found.reasons["layers"]


def test_a_scorer_that_does_not_say_gives_a_reason_for_everything(bank):
    found = ToyEnergyScorer().compare(None, bank, (0, 0))
    assert found.distance is None
    assert set(found.reasons) == {"nearest", "layers", "modes"}
    assert "'toy-energy' does not say" in found.reasons["nearest"]
