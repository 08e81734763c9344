"""The subspace bank: principal components by a direct SVD, and what is redrawn from them."""

from __future__ import annotations

import pytest
import torch
from adbench_gaussian.subspace import Subspace

from adbench import Context, ContractError, DataError, Features, FeatureStream, Geometry, UsageError
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


def three_kinds(gaussian_noise, images=6, seed=0):
    """Patches of three kinds far apart, each varying along a line of its own: [images, 3, 7, 6]."""
    centers, lines = 20 * gaussian_noise(3, 1, 6, seed=11), gaussian_noise(3, 1, 6, seed=12)
    along, beside = gaussian_noise(images, 3, 7, 1, seed=seed), gaussian_noise(images, 3, 7, 6, seed=seed + 1)
    return centers + lines * along + 0.01 * beside


@pytest.mark.proves("subspace-lite")
def test_residuals_are_those_of_a_direct_svd_of_each_group(patch_stream, gaussian_noise):
    known, asked = three_kinds(gaussian_noise), three_kinds(gaussian_noise, 2, seed=5) + gaussian_noise(6, seed=6)
    bank = fitted(patch_stream(*known.split(4)), groups=3, components=2, variance=0.999999)
    residuals = []
    for kind in range(3):
        rows = known[:, kind].reshape(-1, 6).double()
        axes = torch.linalg.svd(rows - rows.mean(0), full_matrices=False)[2][:2]
        offsets = asked.double() - rows.mean(0)
        residuals.append((offsets - offsets @ axes.T @ axes).square().sum(-1))
    seen = (asked - bank.reconstruct(query(asked))).double().square().sum(-1)
    torch.testing.assert_close(seen, torch.stack(residuals).min(0).values, rtol=1e-3, atol=1e-5)
    assert bank.facts() == {"components": 6, "groups": 3}


def test_groups_see_what_one_subspace_cannot(patch_stream, gaussian_noise):
    """Halfway between two kinds nothing is normal, but it lies in the subspace of all patches."""
    known = three_kinds(gaussian_noise)
    middle = query(known[:1, :2].mean(dim=(1, 2), keepdim=True))
    one, three = fitted(patch_stream(known), variance=0.99), fitted(patch_stream(known), groups=3)
    residual = [float((middle.patches - bank.reconstruct(middle)).norm()) for bank in (one, three)]
    assert residual[1] > 5 * residual[0]


def test_one_group_without_a_limit_is_the_bank_without_the_options(patch_stream, gaussian_noise):
    known = stretched(gaussian_noise, 6, 5, 5, 8)
    plain, named = fitted(patch_stream(known)), fitted(patch_stream(known), groups=1, components=0, image_variance=0)
    assert all(torch.equal(named.state()[name], tensor) for name, tensor in plain.state().items())
    assert plain.identity() == named.identity() == {"variance": 0.99}
    assert (plain.passes, plain.needs) == (1, {"patches"})


def test_components_are_at_most_as_many_as_asked_for(patch_stream, gaussian_noise):
    known = stretched(gaussian_noise, 6, 5, 5, 8)
    few, all_of_them = (fitted(patch_stream(known), components=many).state()["components"] for many in (2, 0))
    assert torch.equal(few, all_of_them[:2])


def test_groups_are_kept_and_restored(patch_stream, gaussian_noise):
    known = three_kinds(gaussian_noise)
    bank, twin = fitted(patch_stream(known), groups=5), Subspace(groups=5)
    twin.restore(bank.state())
    asked = query(known + 0.1)
    assert torch.equal(twin.reconstruct(asked), bank.reconstruct(asked))
    assert twin.facts() == bank.facts()


def test_equal_patches_are_one_group(patch_stream):
    bank = fitted(patch_stream(torch.full((3, 2, 2, 4), 2.5)), groups=4)
    assert bank.facts() == {"components": 0, "groups": 1}
    twin = Subspace(groups=4)
    twin.restore(bank.state())
    torch.testing.assert_close(twin.reconstruct(query(torch.rand(1, 2, 2, 4))), torch.full((1, 2, 2, 4), 2.5))


def test_the_seed_decides_the_groups(patch_stream, gaussian_noise):
    known, ctx = stretched(gaussian_noise, 6, 5, 5, 8), WatchedContext()
    bank = Subspace(groups=4)
    bank.fit(patch_stream(known), ctx)
    assert ctx.seed_read
    again = fitted(patch_stream(known), groups=4)
    assert torch.equal(bank.state()["mean"], again.state()["mean"])


class WithVectors(FeatureStream):
    """A stream of patches that also has a vector of each image."""

    def __init__(self, patches, vectors):
        self.patches, self.vectors = patches, vectors

    @property
    def ids(self):
        return tuple(map(str, range(len(self.patches))))

    def __iter__(self):
        for at in range(0, len(self.patches), 4):
            yield query(self.patches[at : at + 4]).having(image=self.vectors[at : at + 4])


@pytest.mark.proves("subspace-lite")
def test_images_are_redrawn_by_a_direct_svd_of_their_vectors(gaussian_noise):
    patches, vectors = gaussian_noise(12, 2, 2, 4), stretched(gaussian_noise, 12, 6)
    bank = fitted(WithVectors(patches, vectors), image_variance=0.9)
    rows = vectors.double()
    _, lengths, axes = torch.linalg.svd(rows - rows.mean(0), full_matrices=False)
    count = int((lengths.square().cumsum(0) / lengths.square().sum() < 0.9).sum()) + 1
    asked = vectors[:3] + gaussian_noise(3, 6, seed=4)
    offsets = asked.double() - rows.mean(0)
    expected = (rows.mean(0) + offsets @ axes[:count].T @ axes[:count]).float()
    features = query(patches[:3]).having(image=asked)
    torch.testing.assert_close(bank.reconstruct_image(features), expected, rtol=1e-5, atol=1e-4)
    assert bank.facts()["image_components"] == count
    twin = Subspace(image_variance=0.9)
    twin.restore(bank.state())
    assert torch.equal(twin.reconstruct_image(features), bank.reconstruct_image(features))


def test_patches_are_redrawn_alike_with_and_without_images(patch_stream, gaussian_noise):
    patches = gaussian_noise(12, 2, 2, 4)
    beside = fitted(WithVectors(patches, gaussian_noise(12, 6)), image_variance=0.9, groups=3)
    alone = fitted(patch_stream(*patches.split(4)), groups=3)
    assert torch.equal(beside.state()["components"], alone.state()["components"])


def test_a_bank_without_images_names_the_option(patch_stream, gaussian_noise):
    bank = fitted(patch_stream(gaussian_noise(3, 2, 2, 4)))
    with pytest.raises(UsageError, match="set its option 'image_variance'"):
        bank.reconstruct_image(query(gaussian_noise(1, 2, 2, 4)))


def test_image_vectors_of_other_channels_are_refused(gaussian_noise):
    bank = fitted(WithVectors(gaussian_noise(4, 2, 2, 4), gaussian_noise(4, 6)), image_variance=0.9)
    with pytest.raises(ContractError, match="image vectors have.*6, not 5"):
        bank.reconstruct_image(query(gaussian_noise(1, 2, 2, 4)).having(image=gaussian_noise(1, 5)))
