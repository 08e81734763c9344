"""Random projections have the published scale, sparsity and size."""

from __future__ import annotations

import math

import pytest
import torch
from adbench_memory.projection import gaussian_matrix, linear_matrix, safe_dim, sparse_matrix


@pytest.mark.parametrize(("samples", "eps", "expected"), [(102_400, 0.9, 284), (1000, 0.5, 331), (1, 0.9, 1)])
def test_dimensions_that_are_safe(samples, eps, expected):
    assert safe_dim(samples, eps) == expected


@pytest.mark.parametrize("matrix", [gaussian_matrix, sparse_matrix])
def test_lengths_are_kept_on_average(matrix):
    vectors = torch.randn(500, 400, generator=torch.Generator().manual_seed(0))
    projected = vectors @ matrix(400, 300, torch.Generator().manual_seed(1))
    ratio = projected.norm(dim=1) / vectors.norm(dim=1)
    assert ratio.mean().item() == pytest.approx(1, abs=0.02)
    assert ratio.std().item() < 0.08


def test_one_entry_in_sqrt_channels_is_not_zero():
    matrix = sparse_matrix(400, 300, torch.Generator().manual_seed(0))
    values = matrix.unique()
    assert values.tolist() == pytest.approx([-math.sqrt(20 / 300), 0, math.sqrt(20 / 300)])
    assert (matrix != 0).float().mean().item() == pytest.approx(1 / 20, abs=0.003)
    assert (matrix > 0).sum().item() == pytest.approx((matrix < 0).sum().item(), rel=0.1)


def test_the_linear_matrix_is_an_untrained_layers():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        layer = torch.nn.Linear(400, 128, bias=False)
    assert torch.equal(linear_matrix(400, 128, torch.Generator().manual_seed(5)), layer.weight.detach().T)
