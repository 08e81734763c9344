"""k-means finds what is plainly there, from seeds that are drawn from a generator."""

from __future__ import annotations

import pytest
import torch
from adbench_gaussian import kmeans
from adbench_gaussian.kmeans import k_means, spread_seeds


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_means_of_two_groups_by_hand():
    rows = torch.tensor([[0.0, 0.0], [0.0, 2.0], [10.0, 0.0], [10.0, 4.0], [13.0, 2.0]])
    centers = k_means(rows, 2, 10, generator())
    assert sorted(centers.tolist()) == [[0, 1], [11, 2]]


@pytest.mark.parametrize("block", [1, 1 << 20])
def test_groups_far_apart_are_found(block, gaussian_noise, monkeypatch):
    monkeypatch.setattr(kmeans, "BLOCK", block)
    places = 100 * gaussian_noise(5, 3, seed=1)
    rows = places.repeat_interleave(20, dim=0) + gaussian_noise(100, 3)
    expected = rows.reshape(5, 20, 3).mean(1)
    centers = k_means(rows, 5, 20, generator())
    assert torch.cdist(expected, centers).amin(1).max() < 1e-4


def test_each_step_brings_rows_nearer(gaussian_noise):
    rows = gaussian_noise(200, 4)
    spread = [
        torch.cdist(rows, k_means(rows, 8, steps, generator())).amin(1).square().sum().item() for steps in range(6)
    ]
    assert spread == sorted(spread, reverse=True)
    assert spread[0] > spread[-1]


def test_in_the_end_centers_are_means_of_what_is_nearest(gaussian_noise):
    rows = gaussian_noise(200, 2)
    centers = k_means(rows, 6, 100, generator())
    nearest = torch.cdist(rows, centers).argmin(1)
    means = torch.stack([rows[nearest == one].mean(0) for one in range(6)])
    torch.testing.assert_close(centers, means, rtol=1e-5, atol=1e-6)


def test_no_more_centers_than_rows_that_differ():
    rows = torch.tensor([[1.0], [2.0], [1.0], [2.0], [2.0]])
    assert sorted(k_means(rows, 4, 10, generator()).flatten().tolist()) == [1, 2]
    assert k_means(rows[:1], 4, 10, generator()).tolist() == [[1]]


@pytest.mark.slow
def test_seeds_are_rows_drawn_in_proportion_to_the_squared_distance():
    """From 0, the row at 1 has odds of 1 in 10 against the one at 3; from 3, rows at 0 and 1 have 9 to 4."""
    rows, counts = torch.tensor([[0.0], [1.0], [3.0]]), torch.zeros(3, 3)
    for seed in range(3000):
        first, second = spread_seeds(rows, 2, generator(seed)).flatten().tolist()
        counts[int(first + 1) // 2, int(second + 1) // 2] += 1
    shares = counts / counts.sum(1, keepdim=True)
    expected = torch.tensor([[0, 0.1, 0.9], [0.2, 0, 0.8], [9 / 13, 4 / 13, 0]])
    torch.testing.assert_close(shares, expected, rtol=0, atol=0.05)


def test_a_center_that_loses_all_rows_stays():
    rows, centers = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.5], [9.0]])
    assert kmeans._means(rows, torch.tensor([0, 0]), centers).tolist() == [[0.5], [9]]
