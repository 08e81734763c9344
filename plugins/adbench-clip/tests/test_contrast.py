"""The softmax over cosine similarities, worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from adbench_clip.contrast import abnormality

from adbench import PrototypeBank, UsageError


class Two(PrototypeBank):
    """Prototypes as they are given."""

    name = "two"

    def __init__(self, normal, abnormal):
        super().__init__()
        self.sides = {"normal": torch.tensor(normal), "abnormal": torch.tensor(abnormal)}

    normal = property(lambda bank: bank.sides["normal"])
    abnormal = property(lambda bank: bank.sides["abnormal"])

    def fit(self, features, ctx):
        """It knows already."""

    def state(self):
        return self.sides

    def restore(self, state):
        self.sides = state


def share(normal, abnormal, temperature):
    """Eq. 1 as it is written."""
    powers = [math.exp(similarity / temperature) for similarity in (normal, abnormal)]
    return powers[1] / sum(powers)


def test_the_share_of_the_abnormal_side():
    bank = Two([[2.0, 0.0]], [[0.0, 3.0]])
    vectors = torch.tensor([[1.0, 0.0], [0.0, 5.0], [1.0, 1.0], [3.0, 4.0]])
    expected = [share(1, 0, 0.5), share(0, 1, 0.5), 0.5, share(0.6, 0.8, 0.5)]
    assert abnormality(vectors, bank, 0.5, "test").tolist() == pytest.approx(expected)


def test_lengths_do_not_matter():
    bank = Two([[2.0, 0.0]], [[0.0, 3.0]])
    vectors = torch.tensor([[1.0, 2.0], [100.0, 200.0]])
    assert abnormality(vectors, bank, 0.07, "test").diff().abs() < 1e-6


def test_the_most_similar_of_several_prototypes_counts():
    bank = Two([[1.0, 0.0], [0.8, 0.6]], [[-1.0, 0.0], [0.0, 1.0]])
    assert abnormality(torch.tensor([[0.6, 0.8]]), bank, 1.0, "test").tolist() == pytest.approx([share(0.96, 0.8, 1)])


def test_leading_dimensions_stay():
    assert abnormality(torch.ones(2, 3, 4, 2), Two([[1.0, 0.0]], [[0.0, 1.0]]), 1.0, "test").shape == (2, 3, 4)


def test_another_space_is_refused():
    with pytest.raises(UsageError, match="test: the prompts of bank 'two' have 2 channels, and what .* 3; give"):
        abnormality(torch.ones(1, 3), Two([[1.0, 0.0]], [[0.0, 1.0]]), 1.0, "test")
