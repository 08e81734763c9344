"""Greedy k-center on a device selects what the plain loop selects there."""

from __future__ import annotations

import pytest
import torch

from adbench.coresets import greedy_cover, plain_k_center

pytestmark = pytest.mark.usefixtures("ways_of_a_gpu")


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


DATA = {
    "noise": noise(6000, 24),
    "clustered": noise(30, 24, seed=1)[torch.randint(30, (6000,), generator=torch.Generator().manual_seed(2))]
    + 0.1 * noise(6000, 24),
    "low rank": noise(6000, 3) @ noise(3, 200, seed=1),
    "lattice": torch.randint(0, 9, (5000, 3), generator=torch.Generator().manual_seed(3)).float(),
    "twins": noise(40, 8).repeat(100, 1),
}


@pytest.mark.parametrize("name", DATA)
def test_the_same_as_the_plain_loop(name, device):
    vectors = DATA[name].to(device)
    selection = greedy_cover(vectors, 120, 3)
    assert torch.equal(selection.index, plain_k_center(vectors, 120, 3))
    assert selection.index.device.type == device


@pytest.mark.parametrize("name", ["noise", "clustered"])
def test_it_covers_as_well_as_on_the_cpu(name, device):
    here, there = (greedy_cover(DATA[name].to(where), 120, 3) for where in (device, "cpu"))
    assert here.radius == pytest.approx(there.radius, rel=1e-3)


def test_a_selection_goes_on_from_a_shorter_one(device):
    vectors = DATA["clustered"].to(device)
    short, long = greedy_cover(vectors, 40, 3), greedy_cover(vectors, 120, 3)
    assert torch.equal(greedy_cover(vectors, 120, 3, short.progress).index, long.index)
