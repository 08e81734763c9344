"""Log-determinants of the couplings, and the global generators that FrEIA draws from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from adbench_flow.coupling import chain, convolutions, dense, drawn_from
from adbench_flow.density import log_likelihood
from torch.autograd.functional import jacobian


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def made(shape, subnets, condition=0, seed=0):
    """A chain whose weights are far from the identity."""
    with drawn_from(generator(seed)):
        flow = chain(shape, subnets, 1.9, condition).double()
    with torch.no_grad():
        for name, values in flow.named_parameters():
            if values.requires_grad and "global_scale" not in name:
                values.add_(torch.randn(values.shape, generator=generator(7), dtype=torch.float64))
    return flow


def log_determinant(function, example):
    found = jacobian(lambda flat: function(flat.reshape(1, *example.shape)).flatten(), example.flatten())
    return torch.linalg.slogdet(found).logabsdet


@pytest.mark.proves("cflow", "cflow-lite")
@pytest.mark.parametrize("channels", [2, 5, 8])
@pytest.mark.parametrize("condition", [0, 4])
def test_the_log_determinant_of_vectors_is_that_of_autograd(channels, condition):
    flow = made((channels,), [dense] * 3, condition)
    examples = torch.randn(3, channels, generator=generator(1), dtype=torch.float64)
    places = torch.randn(3, max(condition, 1), generator=generator(2), dtype=torch.float64)
    given = [[place[None]] if condition else None for place in places]
    _, together = flow(examples, [places] if condition else None)
    for example, one, found in zip(examples, given, together, strict=True):
        expected = log_determinant(lambda x, one=one: flow(x, one)[0], example)
        torch.testing.assert_close(found, expected)


@pytest.mark.proves("fastflow", "fastflow-lite")
@pytest.mark.parametrize("shape", [(2, 2, 3), (5, 3, 2)])
def test_the_log_determinant_of_maps_is_that_of_autograd(shape):
    flow = made(shape, [convolutions(3, 1.0), convolutions(1, 0.5), convolutions(3, 1.0)])
    examples = torch.randn(2, *shape, generator=generator(1), dtype=torch.float64)
    _, together = flow(examples)
    for example, found in zip(examples, together, strict=True):
        torch.testing.assert_close(found, log_determinant(lambda x: flow(x)[0], example))


def test_a_chain_goes_back_to_where_it_came_from():
    flow = made((5,), [dense] * 3)
    examples = torch.randn(4, 5, generator=generator(1), dtype=torch.float64)
    code, forth = flow(examples)
    again, back = flow(code, rev=True)
    torch.testing.assert_close(again, examples)
    torch.testing.assert_close(forth, -back)


@pytest.mark.proves("cflow", "cflow-lite")
def test_the_likelihood_is_that_of_torchs_distributions():
    code, shift = torch.randn(4, 6, generator=generator()), torch.randn(4, generator=generator(1))
    known = torch.distributions.Normal(0.0, 1.0).log_prob(code).sum(1) + shift
    torch.testing.assert_close(log_likelihood(code, shift), known)


def test_the_seed_decides_the_weights_and_the_global_generators_stay():
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    first, again, other = (made((6,), [dense] * 2, seed=seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
