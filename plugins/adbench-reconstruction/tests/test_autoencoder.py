"""The autoencoder: what is learned, the seed, budgets, checkpoints and bad input."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from adbench_reconstruction.autoencoder import Autoencoder
from adbench_reconstruction.corruption import AREA, corrupted, ellipses
from adbench_reconstruction.networks import Convolutional, Pointwise, divergence
from sklearn.decomposition import PCA

from adbench import Context, ContractError, DataError, Features, Geometry, UsageError
from adbench.training import Training

BRIEF = {"steps": 12, "rate": 0.002, "batch": 4, "latent": 6}


def fitted(stream, ctx=None, **options):
    bank = Autoencoder(**{**BRIEF, **options})
    bank.prepare(ctx or Context())
    bank.fit(stream, ctx or Context())
    return bank


def query(patches):
    ids = tuple(map(str, range(len(patches))))
    return Features(ids=ids, geometry=(Geometry.whole(32, 48),) * len(ids), patches=patches)


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_divergence_by_hand():
    """KL(N(m, s^2) || N(0, 1)) = (s^2 + m^2 - 1 - ln s^2) / 2, added up."""
    mean, variance = torch.tensor([[0.0, 2.0], [1.0, -1.0]]), torch.tensor([[1.0, 0.25], [4.0, 1.0]])
    expected = [
        0 + (0.25 + 4 - 1 + 1.3862943611) / 2,
        (4 + 1 - 1 - 1.3862943611) / 2 + (1 + 1 - 1 - 0) / 2,
    ]
    torch.testing.assert_close(divergence(mean, variance.log()), torch.tensor(expected))


@pytest.mark.proves("vae")
def test_the_divergence_is_that_of_torchs_distributions(draw):
    mean, log_variance = draw(5, 7), draw(5, 7, seed=1) - 0.5
    normal = torch.distributions.Normal
    known = torch.distributions.kl_divergence(normal(mean, (log_variance / 2).exp()), normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(divergence(mean, log_variance), known)


@pytest.mark.proves("ae-l2", "ae-ssim")
def test_the_table_of_the_paper():
    """Shapes of every layer's answer for 128 x 128, of table 1 (arXiv 1807.02011)."""
    network, seen = Convolutional(3, (128, 128), 100, skip=False, variational=False), []
    for layer in (*network.encoder, network.squeeze):
        layer.register_forward_hook(lambda _, __, answer: seen.append(tuple(answer.shape[1:])))
    assert network(torch.zeros(1, 3, 128, 128)).reconstruction.shape == (1, 3, 128, 128)
    assert seen == [
        (32, 64, 64),
        (32, 32, 32),
        (32, 32, 32),
        (64, 16, 16),
        (64, 16, 16),
        (128, 8, 8),
        (64, 8, 8),
        (32, 8, 8),
        (100, 1, 1),
    ]


@pytest.mark.proves("dfr", "feature-ae")
@pytest.mark.parametrize(("channels", "latent", "middle"), [(3456, 100, 1828), (152, 9, 85)])
def test_the_layers_of_dfr(channels, latent, middle):
    """Sizes as in ``feat_cae.py`` of YoungGod/DFR: (channels + 2 latent) // 2, 2 latent, latent, and back."""
    network = Pointwise(channels, latent, skip=False, variational=False)
    layers = (*network.encoder, network.squeeze, network.widen, *reversed(network.decoder))
    sizes = [channels, middle, 2 * latent, latent, 2 * latent, middle, channels]
    assert [(layer.in_features, layer.out_features) for layer in layers] == list(pairwise(sizes))


@pytest.mark.proves("dfr", "feature-ae")
def test_a_patchs_code_explains_nine_tenths(patch_stream, draw):
    """As many values as scikit-learn's PCA has components for 90 % of the variance of standardised patches."""
    known = draw(4, 8, 8, 3) @ draw(3, 10, seed=1) + 0.05 * draw(4, 8, 8, 10, seed=2)
    rows = known.flatten(0, 2)
    standardised = (rows - rows.mean(0)) / rows.std(0, correction=0)
    expected = PCA(n_components=0.9).fit(standardised.double().numpy()).n_components_
    bank = fitted(patch_stream(known), form="place", latent=None, steps=1)
    assert bank.facts()["latent"] == expected


@pytest.mark.slow
@pytest.mark.parametrize("form", ["image", "place"])
def test_it_learns(form, patch_stream, draw):
    known = draw(8, 1, 1, 3).expand(8, 16, 16, 3) + 0.1 * draw(1, 16, 16, 3, seed=1)
    bank = fitted(patch_stream(known), form=form, steps=150, batch=8)
    assert bank.facts()["loss_last"] < 0.5 * bank.facts()["loss_first"]
    off = (known - bank.reconstruct(query(known))).square().mean()
    assert off < 0.5 * known.var()


@pytest.mark.slow
def test_the_seed_decides_and_nothing_else(patch_stream, draw):
    known = draw(5, 8, 8, 3)
    banks = [fitted(patch_stream(known), Context(seed=seed)).state() for seed in (0, 0, 1)]
    assert same(banks[0], banks[1])
    assert not same(banks[0], banks[2])


@pytest.mark.slow
def test_switches_differ_in_what_they_say(patch_stream, draw):
    known = draw(5, 16, 16, 3)
    asked = query(draw(2, 16, 16, 3, seed=1))
    variants = [{}, {"skip": True}, {"variational": True}, {"loss": "ssim"}, {"corrupt": "stain"}, {"corrupt": "noise"}]
    seen = [fitted(patch_stream(known), **variant).reconstruct(asked) for variant in variants]
    for number, one in enumerate(seen):
        assert all(not torch.allclose(one, other) for other in seen[:number])


@pytest.mark.slow
def test_an_image_is_redrawn_whatever_else_is_in_the_batch(patch_stream, draw):
    bank, asked = fitted(patch_stream(draw(5, 9, 7, 3))), draw(3, 9, 7, 3, seed=1)
    together = bank.reconstruct(query(asked))
    alone = torch.cat([bank.reconstruct(query(one[None])) for one in asked])
    assert torch.equal(together, alone)


@pytest.mark.slow
@pytest.mark.parametrize("images", [1, 3])
def test_fewer_images_than_a_batch(images, patch_stream, draw):
    bank = fitted(patch_stream(draw(images, 8, 8, 3)), batch=16)
    assert bank.reconstruct(query(draw(1, 8, 8, 3))).isfinite().all()


@pytest.mark.slow
def test_a_channel_that_never_changes(patch_stream, draw):
    known = draw(4, 8, 8, 3)
    known[..., 1] = 0.1
    assert fitted(patch_stream(known)).reconstruct(query(known)).isfinite().all()


@pytest.mark.slow
def test_equal_images(patch_stream):
    assert (
        fitted(patch_stream(torch.full((4, 8, 8, 3), 0.2))).reconstruct(query(torch.rand(1, 8, 8, 3))).isfinite().all()
    )


@pytest.mark.parametrize(
    "options",
    [
        {"steps": 0},
        {"steps": -1},
        {"batch": 0},
        {"latent": 0},
        {"rate": 0},
        {"rate": float("nan")},
        {"loss": "l1"},
        {"corrupt": "paint"},
        {"form": "place", "loss": "ssim"},
        {"form": "place", "corrupt": "stain"},
        {"beta": -1},
    ],
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(UsageError, match="of bank 'autoencoder'"):
        Autoencoder(**options)


@pytest.mark.slow
def test_a_loss_that_is_not_finite_names_the_step(patch_stream, draw):
    with pytest.raises(UsageError, match=r"bank 'autoencoder'.*step \d+ of 40; use a smaller rate"):
        fitted(patch_stream(draw(4, 8, 8, 3)), rate=1e30, steps=40)


def test_no_images(patch_stream):
    with pytest.raises(DataError, match="cannot learn from nothing"):
        fitted(patch_stream())


def test_images_of_two_sizes(patch_stream, draw):
    with pytest.raises(DataError, match="8 x 8 patches, but an image has 8 x 9"):
        fitted(patch_stream(draw(2, 8, 8, 3), draw(1, 8, 9, 3)))


@pytest.mark.slow
def test_another_grid_than_learned(patch_stream, draw):
    with pytest.raises(DataError, match="8 x 8 patches, but an image has 4 x 8"):
        fitted(patch_stream(draw(2, 8, 8, 3))).reconstruct(query(draw(1, 4, 8, 3)))


@pytest.mark.slow
def test_other_channels_than_learned(patch_stream, draw):
    with pytest.raises(ContractError, match="3, not 4"):
        fitted(patch_stream(draw(2, 8, 8, 3))).reconstruct(query(draw(1, 8, 8, 4)))


def test_infinity_is_refused_by_name(patch_stream, draw):
    known = draw(3, 8, 8, 3)
    known[2, 0, 0, 0] = torch.nan
    with pytest.raises(ContractError, match="image 2"):
        fitted(patch_stream(known))


def test_nothing_learned_yet(draw):
    with pytest.raises(UsageError, match="learned nothing yet"):
        Autoencoder().reconstruct(query(draw(1, 8, 8, 3)))


@pytest.mark.slow
def test_a_training_that_was_stopped_goes_on(patch_stream, draw, tmp_path, monkeypatch):
    """To the same bits, also of what is drawn."""
    monkeypatch.setattr("adbench.api.training.loop.LOOK", 5)
    monkeypatch.setattr("adbench.api.training.checkpoint.EVERY", 5)
    known, options = draw(6, 8, 8, 3), {"variational": True, "corrupt": "noise", "steps": 20}
    whole = fitted(patch_stream(known), **options).state()
    ctx, taken, steps = Context(cache=tmp_path), Training._step, []

    def killed(self):
        steps.append(1)
        if len(steps) == 11:
            raise KeyboardInterrupt
        return taken(self)

    monkeypatch.setattr(Training, "_step", killed)
    with pytest.raises(KeyboardInterrupt):
        fitted(patch_stream(known), ctx, **options)
    assert same(fitted(patch_stream(known), ctx, **options).state(), whole)
    assert len(steps) == 11 + 10
    assert not list(tmp_path.rglob("*.safetensors"))


def test_the_losses_are_those_of_all_steps(patch_stream, draw):
    bank = fitted(patch_stream(draw(4, 8, 8, 3)))
    assert len(bank.losses()) == BRIEF["steps"]
    assert bank.facts()["loss_last"] == pytest.approx(sum(bank.losses()) / BRIEF["steps"])


def test_stains_cover_what_they_should():
    inside = ellipses(400, 64, 96, torch.Generator().manual_seed(0)).double().mean((1, 2))
    assert inside.max() <= AREA[1] * 1.02
    assert 0.4 * sum(AREA) / 2 < inside.mean() < sum(AREA) / 2  # some lie partly outside


def test_a_stain_is_of_one_colour_and_the_rest_stays(draw):
    batch = draw(3, 3, 32, 32)
    seen = corrupted(batch, "stain", torch.Generator().manual_seed(0))
    for before, after in zip(batch, seen, strict=True):
        changed = (before != after).any(0)
        assert changed.any()
        assert len(torch.unique(after[:, changed], dim=1).T) == 1
