"""Farthest-first selections, and the binary counter that merges them."""

from __future__ import annotations

import pytest
import torch

from adbench.api.coresets import merge_reduce
from adbench.coresets import MergeReduce, farthest_first


def plain(rows, count):
    """As it is defined, from distances that are measured one by one."""
    rows = rows.double()
    chosen = [int((rows - rows.mean(0)).norm(dim=1).argmax())]
    while len(chosen) < count:
        nearest = torch.stack([(rows - rows[one]).norm(dim=1) for one in chosen]).amin(0)
        nearest[chosen] = -1
        chosen.append(int(nearest.argmax()))
    return chosen


def test_by_hand():
    """The mean is 3: 9 is the farthest from it, 0 from 9, then 4 is 4 from 0 and 5 from 9."""
    rows = torch.tensor([[0.0], [1.0], [1.0], [4.0], [9.0]])
    assert farthest_first(rows, 3).tolist() == [4, 0, 3]


@pytest.mark.parametrize("shortlist", [1, 7, 299, 2048])
@pytest.mark.parametrize("shift", [0, 1e3])
def test_as_defined(shift, shortlist, gaussian_noise, monkeypatch):
    monkeypatch.setattr(merge_reduce, "SHORTLIST", shortlist)
    rows = gaussian_noise(300, 5) + shift
    assert farthest_first(rows, 60).tolist() == plain(rows, 60)


@pytest.mark.parametrize("shortlist", [1, 3, 2048])
def test_none_is_chosen_twice_and_all_where_there_are_no_more(shortlist, gaussian_noise, monkeypatch):
    monkeypatch.setattr(merge_reduce, "SHORTLIST", shortlist)
    rows = gaussian_noise(3, 2).repeat(4, 1)
    assert len(set(farthest_first(rows, 8).tolist())) == 8
    assert farthest_first(rows, 12).tolist() == farthest_first(rows, 99).tolist() == list(range(12))


def test_sets_of_one_rank_are_merged(gaussian_noise):
    """After seven blocks the ranks 0, 1 and 2 hold one set each, as 7 is 111 in binary."""
    memory = MergeReduce(count=25, local=10)
    for seed in range(7):
        memory.add(gaussian_noise(40, 3, seed=seed))
        bits = [rank for rank in range(3) if (seed + 1) >> rank & 1]
        assert sorted(memory.ranks) == bits
    assert {len(rows) for rows in memory.ranks.values()} == {10}
    assert len(memory.coreset()) == 25


def test_merging_by_hand(gaussian_noise):
    blocks = [gaussian_noise(40, 3, seed=seed) for seed in range(3)]
    memory = MergeReduce(count=12, local=10)
    for block in blocks:
        memory.add(block)
    first, second, third = (block[plain(block, 10)] for block in blocks)
    merged = torch.cat([first, second])
    everything = torch.cat([third, merged[plain(merged, 10)]])
    assert torch.equal(memory.coreset(), everything[plain(everything, 12)])


def test_a_set_is_no_larger_than_the_coreset(gaussian_noise):
    memory = MergeReduce(count=4, local=10)
    memory.add(gaussian_noise(40, 3))
    assert len(memory.ranks[0]) == len(memory.coreset()) == 4
