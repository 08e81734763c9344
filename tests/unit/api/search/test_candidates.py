import pytest
import torch

from adbench.api.search.candidates import Block, HalfRows, bounded_shortlist, halves_are_faster, shortlist


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e3])
def test_half_precision_knows_how_far_it_may_be_off(scale):
    """No row that is not among its candidates is nearer than it vouches for."""
    rows, scaled = scale * draw(2000, 48), -2 * scale * draw(100, 48, seed=1)
    half = HalfRows(lambda: iter([Block(rows, rows.square().sum(1), torch.arange(2000))]), 600)
    found, bound = half.shortlist(scaled, 4)
    true = rows.double().square().sum(1) + scaled.double() @ rows.double().T
    others = true.scatter(1, found, float("inf")).amin(1).float()
    assert not half.uncertain(scaled, others - 3 * scale**2, bound).any()
    assert half.uncertain(scaled, others, bound).all()


def test_the_best_groups_hold_the_best_rows():
    """Also where a block is no multiple of the group, and the best lie together."""
    rows = torch.cat([draw(1000, 6), 0.01 * draw(77, 6, seed=1)])
    offset, scaled = rows.square().sum(1), -2 * draw(30, 6, seed=2)
    for k in (1, 2, 3, 40):
        near, found = shortlist(scaled, [Block(rows, offset, torch.arange(1077))], k, 16)
        expected = (offset + scaled @ rows.T).topk(k, largest=False)
        torch.testing.assert_close(near, expected.values)
        torch.testing.assert_close((offset + scaled @ rows.T).gather(1, found), expected.values)


def test_few_rows_of_each_block_and_the_bound_of_the_others():
    rows, scaled = draw(1000, 6), -2 * draw(30, 6, seed=2)
    offset = rows.square().sum(1)
    parts = zip(*(torch.split(whole, 300) for whole in (rows, offset, torch.arange(1000))), strict=True)
    found, bound = bounded_shortlist(scaled, [Block(*part) for part in parts], 10, 4, 16)
    true = offset + scaled @ rows.T
    assert found.shape == (30, 10)
    torch.testing.assert_close(true.scatter(1, found, float("inf")).amin(1), bound)


def test_all_rows_are_candidates_where_there_are_few():
    rows, scaled = draw(7, 6), -2 * draw(3, 6, seed=2)
    found, bound = bounded_shortlist(scaled, [Block(rows, rows.square().sum(1), torch.arange(7))], 10, 8, 16)
    assert found.sort(1).values.tolist() == [list(range(7))] * 3
    assert bound.isinf().all()


@pytest.mark.parametrize(("on_gpu", "count", "faster"), [(True, 3, True), (True, 0, False), (False, 3, False)])
def test_halves_are_faster_on_a_gpu_where_there_are_vectors(on_gpu, count, faster):
    class Vectors:
        is_cuda = on_gpu

        def __len__(self):
            return count

    assert halves_are_faster(Vectors()) is faster


@pytest.mark.parametrize("k", [1, 2])
def test_one_or_two_neighbours_come_from_all_blocks_and_among_equals(k):
    rows = draw(900, 6).round(decimals=1)
    rows[400:500] = rows[:100]
    scaled = -2 * rows[:50]
    offset = rows.square().sum(1)
    parts = zip(*(torch.split(whole, 250) for whole in (rows, offset, torch.arange(900))), strict=True)
    near, found = shortlist(scaled, [Block(*part) for part in parts], k, 16)
    true = offset + scaled @ rows.T
    torch.testing.assert_close(near, true.topk(k, largest=False).values)
    torch.testing.assert_close(true.gather(1, found), near)
    assert all(len(set(row)) == k for row in found.tolist())
