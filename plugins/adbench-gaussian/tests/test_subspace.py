"""The subspace bank: principal components by a direct SVD, and what is redrawn from them."""

from __future__ import annotations

import pytest
import torch
from adbench_gaussian.subspace import Subspace

from adbench import Context, ContractError, DataError, Features, Geometry, UsageError
from adbench.engine.run.seed_watch import WatchedContext


def fitted(stream, **options):
    bank = Subspace(**options)
    bank.fit(stream, Context())
    return bank


def stretched(draw, *shape, seed=0):
    """Patches that vary much more along some axes than along others, far off the origin."""
    axes, _ = torch.linalg.qr(draw(shape[-1], shape[-1], seed=9))
    return (draw(*shape, seed=seed) * 0.7 ** torch.arange(shape[-1])) @ axes.T + 50


def query(patches):
    ids = tuple(map(str, range(len(patches))))
    return Features(ids=ids, geometry=(Geometry.whole(32, 48),) * len(ids), patches=patches)


@pytest.mark.proves("subspace-ad", "subspace-lite")
@pytest.mark.parametrize("variance", [0.5, 0.95, 0.99, 0.9999])
def test_residuals_are_those_of_a_direct_svd(variance, given, draw):
    known, asked = stretched(draw, 7, 5, 6, 12), stretched(draw, 2, 5, 6, 12, seed=1) + draw(12)
    rows = known.reshape(-1, 12).double()
    _, lengths, axes = torch.linalg.svd(rows - rows.mean(0), full_matrices=False)
    explained = lengths.square().cumsum(0) / lengths.square().sum()
    count = int((explained < variance).sum()) + 1
    offsets = asked.double() - rows.mean(0)
    expected = (offsets - offsets @ axes[:count].T @ axes[:count]).square().sum(-1)
    bank = fitted(given(known), variance=variance)
    seen = (asked - bank.reconstruct(query(asked))).double().square().sum(-1)
    assert bank.facts() == {"components": count}
    torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-5)


def test_the_tail_survives_a_large_mean(given, draw):
    """Sums of squares in single precision would lose it: the mean is 10^4 times what the last channel varies by."""
    known = torch.cat([1000 + draw(400, 1, 1, 3), 1000 + 0.1 * draw(400, 1, 1, 1, seed=1)], -1)
    bank = fitted(given(known), variance=0.99)
    assert bank.facts()["components"] == 3
    off = query((bank.state()["mean"] + torch.tensor([0, 0, 0, 0.5])).reshape(1, 1, 1, 4))
    residual = (off.patches - bank.reconstruct(off)).norm()
    assert 0.49 < residual < 0.51


def test_how_the_stream_is_cut_does_not_matter(given, draw):
    known = stretched(draw, 6, 5, 5, 8)
    asked = query(stretched(draw, 2, 5, 5, 8, seed=3))
    whole, parts = fitted(given(known)), fitted(given(*known.split(1)))
    torch.testing.assert_close(whole.reconstruct(asked), parts.reconstruct(asked), rtol=1e-5, atol=1e-5)


def test_equal_patches_leave_their_mean_alone(given):
    bank = fitted(given(torch.full((3, 2, 2, 4), 2.5)))
    assert bank.facts() == {"components": 0}
    assert bank.state()["components"].shape == (0, 4)
    torch.testing.assert_close(bank.reconstruct(query(torch.rand(1, 2, 2, 4))), torch.full((1, 2, 2, 4), 2.5))


def test_fewer_patches_than_channels(given, draw):
    known = draw(1, 1, 3, 16)
    bank = fitted(given(known), variance=0.999)
    assert bank.facts()["components"] == 2
    torch.testing.assert_close(bank.reconstruct(query(known)), known, rtol=1e-4, atol=1e-4)


def test_what_is_kept_does_not_grow_with_the_images(given, draw):
    state = fitted(given(draw(40, 4, 4, 6)), variance=0.5).state()
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == {"mean": (6,), "components": (3, 6)}


def test_nothing_is_drawn(given, draw):
    ctx = WatchedContext()
    Subspace().fit(given(draw(2, 6, 6, 4)), ctx)
    assert not ctx.seed_read


def test_an_empty_stream_is_refused(given):
    with pytest.raises(DataError, match="'subspace' cannot learn from nothing"):
        fitted(given())


def test_infinity_is_refused_by_name(given, draw):
    known = draw(3, 2, 2, 4)
    known[1, 0, 1, 2] = torch.inf
    with pytest.raises(ContractError, match="image 1"):
        fitted(given(known))


def test_other_channels_are_refused(given, draw):
    bank = fitted(given(draw(3, 2, 2, 4)))
    with pytest.raises(ContractError, match="4, not 5"):
        bank.reconstruct(query(draw(1, 2, 2, 5)))


def test_an_unfitted_bank_says_so(draw):
    with pytest.raises(UsageError, match="learned nothing yet"):
        Subspace().reconstruct(query(draw(1, 2, 2, 4)))


@pytest.mark.parametrize("variance", [0, 1, 1.5, -0.1, float("nan"), "much"])
def test_a_share_that_is_none_is_refused(variance):
    with pytest.raises(UsageError, match="option 'variance' of bank 'subspace'"):
        Subspace(variance=variance)
