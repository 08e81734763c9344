"""Rates by hand, and the head that learns alone at first."""

from __future__ import annotations

import pytest
import torch
from adbench_tune.optimizers import StagedAdam, cosine_rate
from torch import nn


def test_rates_by_hand():
    rates = [cosine_rate(2.0, step, 8, warm=4) for step in range(8)]
    assert rates[:4] == [0.5, 1.0, 1.5, 2.0]
    assert rates[4:] == pytest.approx([2.0, 1 + 2**-0.5, 1.0, 1 - 2**-0.5])


def test_blocks_stay_as_they_are_while_the_head_learns_alone():
    head, block = nn.Linear(3, 2), nn.Linear(3, 3)
    before, steps = block.weight.clone(), []
    staged = StagedAdam(list(block.parameters()), rates=(0.1, 0.1), decay=0.1, steps=4, alone=2, after=steps.append)
    optimizer = staged.optimizer([*head.parameters(), *block.parameters()])
    moved = []
    for step in range(4):
        staged.before_step(step)
        optimizer.zero_grad()
        loss = head(block(torch.ones(1, 3))).square().sum()
        loss.backward()
        optimizer.step()
        moved.append(not torch.equal(block.weight, before))
    assert moved == [False, False, True, True]
    assert steps == [0, 1, 2, 3]
    decays = {len(group["params"][0].shape): group["weight_decay"] for group in optimizer.param_groups}
    assert decays == {2: 0.1, 1: 0.0}
