"""Exact searches that begin in half precision, against distances in double precision."""

from __future__ import annotations

import pytest
import torch

from adbench import UsageError
from adbench.search import ExactIndex, exact_search

pytestmark = pytest.mark.usefixtures("ways_of_a_gpu")


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def features(count, channels, seed):
    """Noise around places, which is how features lie."""
    places = noise(50, 8, seed=7)
    draw = torch.randint(50, (count,), generator=torch.Generator().manual_seed(seed))
    return (places[draw] + 0.3 * noise(count, 8, seed=seed)) @ noise(8, channels, seed=8)


BANKS = {
    "features": features(3000, 40, 0),
    "noise": noise(3000, 40),
    "few": noise(5, 7),
    "one": noise(1, 7),
    "every one a hundred times": noise(30, 12).repeat(100, 1),
    "all the same": noise(1, 12).repeat(60, 1),
    "with zeros": torch.cat([torch.zeros(50, 12), noise(500, 12)]),
    "an outlier": torch.cat([1e5 * noise(1, 12), noise(500, 12)]),
    "far from the origin": 1e3 * noise(1, 12, seed=5) + noise(500, 12),
    "tiny": 1e-6 * noise(500, 12),
    "huge": 1e6 * noise(500, 12),
}


def true_distances(query, bank, metric):
    """[Q, N] float64."""
    query, bank = query.double(), bank.double()
    if metric == "l2":
        return (query[:, None] - bank).square().sum(-1).sqrt()
    unit = [torch.nn.functional.normalize(rows, dim=-1) for rows in (query, bank)]
    return 1 - unit[0] @ unit[1].T


@pytest.mark.parametrize("metric", ["l2", "cosine"])
@pytest.mark.parametrize("k", [1, 3, 40])
@pytest.mark.parametrize("name", BANKS)
def test_the_nearest_are_found(name, k, metric, device):
    bank = BANKS[name]
    k = min(k, len(bank))
    query = torch.cat([bank[:20] + 0.1 * bank.std() * noise(len(bank[:20]), bank.shape[1], seed=3), bank[-3:]])
    distances, indices = ExactIndex(bank.to(device), metric).search(query.to(device), k)
    assert distances.device.type == indices.device.type == device
    true = true_distances(query, bank, metric)
    scale = float(true.max()) if metric == "l2" else 1.0
    torch.testing.assert_close(
        distances.cpu().double(), true.topk(k, largest=False).values, rtol=1e-5, atol=2e-6 * scale
    )
    torch.testing.assert_close(true.gather(1, indices.cpu()), distances.cpu().double(), rtol=1e-5, atol=2e-6 * scale)


@pytest.mark.parametrize("keep", [True, False])
def test_own_vectors_are_left_out(keep, device):
    bank = features(300, 20, 0)
    owners = [f"image {number // 10}" for number in range(300)]
    index = ExactIndex(bank.to(device), owners=owners, keep=keep)
    _, indices = index.search(bank[:50].to(device), 2, owners[:50])
    assert all(owners[found] != owners[row] for row, line in enumerate(indices.tolist()) for found in line)


def test_a_query_from_the_cpu_is_answered_on_the_device(device):
    distances, _ = exact_search(noise(4, 6), noise(9, 6, seed=1).to(device), 1)
    assert distances.device.type == device


def test_an_empty_bank_says_so(device):
    with pytest.raises(UsageError):
        ExactIndex(torch.zeros(0, 6, device=device)).search(noise(4, 6), 1)
