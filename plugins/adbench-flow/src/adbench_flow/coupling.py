"""Chains of coupling blocks, whose log-determinants are known (FrEIA's `AllInOneBlock`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

Subnet = Callable[[int, int], nn.Module]
"""Makes the network that gives a block's scales and shifts, from its numbers of channels in and out."""


def chain(shape: tuple[int, ...], subnets: list[Subnet], clamp: float, condition: int = 0) -> Any:
    """A FrEIA chain (`SequenceINN`) of one block for each subnet.

    The module gives the code and the log-determinant [B] of its Jacobian. Its weights are drawn anew: wrap the call
    in `drawn_from`.

    Args:
        shape: of an example: (C,) or (C, H, W).
        subnets: of the blocks.
        clamp: bound of a block's log scales (alpha of CFLOW-AD's code).
        condition: the length of a condition vector; 0 for none.
    """
    from FrEIA.framework import SequenceINN
    from FrEIA.modules import AllInOneBlock

    flow = SequenceINN(*shape)
    conditioned = {"cond": 0, "cond_shape": (condition, *shape[1:])} if condition else {}
    for subnet in subnets:
        flow.append(AllInOneBlock, subnet_constructor=subnet, affine_clamping=clamp, permute_soft=False, **conditioned)
    return flow


@contextmanager
def drawn_from(generator: torch.Generator) -> Iterator[None]:
    """Seed the global generators of torch and NumPy inside the block, and leave them as they were.

    FrEIA and torch's layers draw weights and permutations from these, and take no generator.
    """
    seed = int(torch.randint(2**31, (), generator=generator))
    before = np.random.get_state()  # noqa: NPY002 - FrEIA draws from it
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(before)  # noqa: NPY002


def convolutions(kernel: int, ratio: float) -> Subnet:
    """Two convolutions of a side with a ReLU between (FastFlow, arXiv 2111.07677).

    Args:
        kernel: side, odd.
        ratio: channels between them, by those of the input.
    """

    def subnet(inputs: int, outputs: int) -> nn.Module:
        hidden = max(1, int(inputs * ratio))
        return nn.Sequential(
            nn.Conv2d(inputs, hidden, kernel, padding="same"),
            nn.ReLU(),
            nn.Conv2d(hidden, outputs, kernel, padding="same"),
        )

    return subnet


def dense(inputs: int, outputs: int) -> nn.Module:
    """Two linear layers, the first twice as wide as its input, with a ReLU between (CFLOW-AD, arXiv 2107.12571)."""
    return nn.Sequential(nn.Linear(inputs, 2 * inputs), nn.ReLU(), nn.Linear(2 * inputs, outputs))
