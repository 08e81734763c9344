"""PatchCore's weight, against Eq. 7 as it is written and at the ends of what floats hold."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adbench.search import patchcore_weight

DISTANCES = st.lists(st.floats(0, 20), min_size=2, max_size=9).map(sorted)


@given(DISTANCES)
def test_as_eq_7_is_written(distances):
    expected = 1 - math.exp(distances[0]) / sum(math.exp(one) for one in distances[1:])
    found = patchcore_weight(torch.tensor([distances], dtype=torch.float64), "eq7")
    assert found.item() == pytest.approx(max(0, expected), abs=1e-9)


@given(DISTANCES)
def test_the_other_form_is_a_softmax(distances):
    given_ = torch.tensor([distances], dtype=torch.float64)
    assert patchcore_weight(given_, "anomalib").item() == pytest.approx(1 - given_.softmax(1)[0, 0].item(), abs=1e-9)


def test_at_the_ends():
    assert patchcore_weight(torch.tensor([[1e4, 1e4, 1e4]]), "anomalib").tolist() == pytest.approx([2 / 3])
    assert patchcore_weight(torch.tensor([[1e4, 3e4]]), "anomalib").tolist() == [1]
    assert patchcore_weight(torch.tensor([[5.0, 1.0]]), "eq7").tolist() == [0]
    assert patchcore_weight(torch.tensor([[7.0]]), "anomalib").tolist() == [1]
