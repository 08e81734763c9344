import pytest
import torch

from adbench.api.search.candidates import Block, HalfRows, bounded_shortlist, halves_pay, shortlist


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e3])
def test_half_precision_knows_how_far_it_may_be_off(scale):
    """No row that is not among its candidates is nearer than it vouches for."""
    rows, asked = scale * draw(2000, 48), -2 * scale * draw(100, 48, seed=1)
    half = HalfRows(lambda: iter([Block(rows, rows.square().sum(1), torch.arange(2000))]), 600)
    found, beyond = half.shortlist(asked, 4)
    true = rows.double().square().sum(1) + asked.double() @ rows.double().T
    others = true.scatter(1, found, float("inf")).amin(1).float()
    assert not half.doubtful(asked, others - 3 * scale**2, beyond).any()
    assert half.doubtful(asked, others, beyond).all()


def test_the_best_groups_hold_the_best_rows():
    """Also where a block is no multiple of the group, and the best lie together."""
    rows = torch.cat([draw(1000, 6), 0.01 * draw(77, 6, seed=1)])
    own, asked = rows.square().sum(1), -2 * draw(30, 6, seed=2)
    for k in (1, 3, 40):
        near, found = shortlist(asked, [Block(rows, own, torch.arange(1077))], k, 16)
        expected = (own + asked @ rows.T).topk(k, largest=False)
        torch.testing.assert_close(near, expected.values)
        torch.testing.assert_close((own + asked @ rows.T).gather(1, found), expected.values)


def test_few_of_each_block_and_what_they_keep_out():
    rows, asked = draw(1000, 6), -2 * draw(30, 6, seed=2)
    own = rows.square().sum(1)
    parts = zip(*(torch.split(whole, 300) for whole in (rows, own, torch.arange(1000))), strict=True)
    found, beyond = bounded_shortlist(asked, [Block(*part) for part in parts], 10, 4, 16)
    true = own + asked @ rows.T
    assert found.shape == (30, 10)
    torch.testing.assert_close(true.scatter(1, found, float("inf")).amin(1), beyond)


def test_all_rows_are_candidates_where_there_are_few():
    rows, asked = draw(7, 6), -2 * draw(3, 6, seed=2)
    found, beyond = bounded_shortlist(asked, [Block(rows, rows.square().sum(1), torch.arange(7))], 10, 8, 16)
    assert found.sort(1).values.tolist() == [list(range(7))] * 3
    assert beyond.isinf().all()


@pytest.mark.parametrize(("on_gpu", "count", "pays"), [(True, 3, True), (True, 0, False), (False, 3, False)])
def test_halves_pay_on_a_gpu_where_there_are_vectors(on_gpu, count, pays):
    class Vectors:
        is_cuda = on_gpu

        def __len__(self):
            return count

    assert halves_pay(Vectors()) is pays
