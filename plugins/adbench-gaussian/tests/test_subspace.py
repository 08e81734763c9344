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


def stretched(gaussian_noise, *shape, seed=0):
    """Patches that vary much more along some axes than along others, far off the origin."""
    axes, _ = torch.linalg.qr(gaussian_noise(shape[-1], shape[-1], seed=9))
    return (gaussian_noise(*shape, seed=seed) * 0.7 ** torch.arange(shape[-1])) @ axes.T + 50


def query(patches):
    ids = tuple(map(str, range(len(patches))))
    return Features(ids=ids, geometry=(Geometry.whole(32, 48),) * len(ids), patches=patches)


@pytest.mark.proves("subspace-ad", "subspace-lite")
@pytest.mark.parametrize("variance", [0.5, 0.95, 0.99, 0.9999])
def test_residuals_are_those_of_a_direct_svd(variance, patch_stream, gaussian_noise):
    known, asked = (
        stretched(gaussian_noise, 7, 5, 6, 12),
        stretched(gaussian_noise, 2, 5, 6, 12, seed=1) + gaussian_noise(12),
    )
    rows = known.reshape(-1, 12).double()
    _, lengths, axes = torch.linalg.svd(rows - rows.mean(0), full_matrices=False)
    explained = lengths.square().cumsum(0) / lengths.square().sum()
    count = int((explained < variance).sum()) + 1
    offsets = asked.double() - rows.mean(0)
    expected = (offsets - offsets @ axes[:count].T @ axes[:count]).square().sum(-1)
    bank = fitted(patch_stream(known), variance=variance)
    seen = (asked - bank.reconstruct(query(asked))).double().square().sum(-1)
    assert bank.facts() == {"components": count}
    torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-5)


def test_the_tail_survives_a_large_mean(patch_stream, gaussian_noise):
    """Sums of squares in single precision would lose it: the mean is 10^4 times what the last channel varies by."""
    known = torch.cat([1000 + gaussian_noise(400, 1, 1, 3), 1000 + 0.1 * gaussian_noise(400, 1, 1, 1, seed=1)], -1)
    bank = fitted(patch_stream(known), variance=0.99)
    assert bank.facts()["components"] == 3
    off = query((bank.state()["mean"] + torch.tensor([0, 0, 0, 0.5])).reshape(1, 1, 1, 4))
    residual = (off.patches - bank.reconstruct(off)).norm()
    assert 0.49 < residual < 0.51


def test_how_the_stream_is_cut_does_not_matter(patch_stream, gaussian_noise):
    known = stretched(gaussian_noise, 6, 5, 5, 8)
    asked = query(stretched(gaussian_noise, 2, 5, 5, 8, seed=3))
    whole, parts = fitted(patch_stream(known)), fitted(patch_stream(*known.split(1)))
    torch.testing.assert_close(whole.reconstruct(asked), parts.reconstruct(asked), rtol=1e-5, atol=1e-5)


def test_equal_patches_leave_their_mean_alone(patch_stream):
    bank = fitted(patch_stream(torch.full((3, 2, 2, 4), 2.5)))
    assert bank.facts() == {"components": 0}
    assert bank.state()["components"].shape == (0, 4)
    torch.testing.assert_close(bank.reconstruct(query(torch.rand(1, 2, 2, 4))), torch.full((1, 2, 2, 4), 2.5))


def test_fewer_patches_than_channels(patch_stream, gaussian_noise):
    known = gaussian_noise(1, 1, 3, 16)
    bank = fitted(patch_stream(known), variance=0.999)
    assert bank.facts()["components"] == 2
    torch.testing.assert_close(bank.reconstruct(query(known)), known, rtol=1e-4, atol=1e-4)


def test_what_is_kept_does_not_grow_with_the_images(patch_stream, gaussian_noise):
    state = fitted(patch_stream(gaussian_noise(40, 4, 4, 6)), variance=0.5).state()
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == {"mean": (6,), "components": (3, 6)}


def test_nothing_is_drawn(patch_stream, gaussian_noise):
    ctx = WatchedContext()
    Subspace().fit(patch_stream(gaussian_noise(2, 6, 6, 4)), ctx)
    assert not ctx.seed_read


def test_an_empty_stream_is_refused(patch_stream):
    with pytest.raises(DataError, match="'subspace' cannot learn from nothing"):
        fitted(patch_stream())


def test_infinity_is_refused_by_name(patch_stream, gaussian_noise):
    known = gaussian_noise(3, 2, 2, 4)
    known[1, 0, 1, 2] = torch.inf
    with pytest.raises(ContractError, match="image 1"):
        fitted(patch_stream(known))


def test_other_channels_are_refused(patch_stream, gaussian_noise):
    bank = fitted(patch_stream(gaussian_noise(3, 2, 2, 4)))
    with pytest.raises(ContractError, match="4, not 5"):
        bank.reconstruct(query(gaussian_noise(1, 2, 2, 5)))


def test_an_unfitted_bank_says_so(gaussian_noise):
    with pytest.raises(UsageError, match="learned nothing yet"):
        Subspace().reconstruct(query(gaussian_noise(1, 2, 2, 4)))


@pytest.mark.parametrize("variance", [0, 1, 1.5, -0.1, float("nan"), "much"])
def test_a_share_that_is_none_is_refused(variance):
    with pytest.raises(UsageError, match="option 'variance' of bank 'subspace'"):
        Subspace(variance=variance)
