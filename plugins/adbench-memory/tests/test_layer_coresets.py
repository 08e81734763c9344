"""One coreset for each layer, against a brute-force reading of SuperADD's formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from adbench_memory.layer_coresets import LayerCoresets
from adbench_memory.layer_knn import LayerKnn

from adbench import Context, ContractError, DataError, Features, Geometry, UsageError


@pytest.fixture
def pictures(patch_stream, gaussian_noise):
    """Images with two layers of 4 x 6 and 2 x 3 places, 5 and 7 channels."""

    def pictures(count, seed=0):
        stream = patch_stream(gaussian_noise(count, 4, 6, 5, seed=seed))
        layers = {"a": stream.batches[0].patches, "b": gaussian_noise(count, 2, 3, 7, seed=seed + 50)}
        stream.batches = [stream.batches[0].having(layers=layers)]
        return stream

    return pictures


def fitted(stream, seed=0, **options):
    bank = LayerCoresets(**options)
    bank.fit(stream, Context(seed=seed))
    return bank


def nearest(query, known):
    """Distances by numpy in float64, a channel."""
    apart = query.reshape(-1, 1, query.shape[-1]).double() - known.reshape(1, -1, known.shape[-1]).double()
    return torch.from_numpy(np.linalg.norm(apart.numpy(), axis=-1).min(1) / query.shape[-1]).reshape(query.shape[:3])


@pytest.mark.proves("super-add", "super-add-lite")
def test_an_energy_is_the_mean_over_layers_of_the_distance_a_channel(pictures):
    normal, (query,) = pictures(6), pictures(3, seed=9)
    bank = fitted(normal)
    a, b = (nearest(query.layers[name], normal.batches[0].layers[name]) for name in "ab")
    enlarged = torch.nn.functional.interpolate(b[:, None], size=(4, 6), mode="bilinear", align_corners=False)[:, 0]
    torch.testing.assert_close(bank.energy(query).double(), (a + enlarged) / 2, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(LayerKnn().score(query, bank).patches, bank.energy(query))


def test_an_export_finds_the_same_energies(pictures):
    (query,) = pictures(3, seed=9)
    bank = fitted(pictures(6), count=20)
    torch.testing.assert_close(bank.for_export().energy(query), bank.energy(query), rtol=1e-5, atol=1e-6)


def test_each_layer_keeps_its_own_coreset(pictures):
    normal = pictures(6)
    bank = fitted(normal, count=10)
    for name, rows in bank.state().items():
        everything = normal.batches[0].layers[name].flatten(0, 2)
        assert rows.shape == (10, everything.shape[1])
        apart = (rows[:, None] - everything[None]).norm(dim=-1)
        assert (apart.amin(1) == 0).all()
        assert len(rows.unique(dim=0)) == 10
        assert (
            apart.amin(0).max() <= torch.pdist(rows).min() + 1e-5
        )  # k-center: what is left out is nearer than the kept are apart
    assert bank.facts() == {"vectors": 20}


def test_the_seed_decides_the_start(pictures):
    one, same, other = (fitted(pictures(6), seed=seed, count=5).state()["a"] for seed in (0, 0, 1))
    torch.testing.assert_close(one, same)
    assert not torch.equal(one, other)


def test_bad_input_is_refused(pictures):
    with pytest.raises(UsageError, match="has learned nothing yet"):
        LayerCoresets().energy(pictures(1).batches[0])
    empty = pictures(1)
    empty.batches = []
    with pytest.raises(DataError, match="cannot learn from nothing"):
        fitted(empty)
    broken = pictures(2)
    broken.batches[0].layers["b"][0, 0, 0, 0] = torch.nan
    with pytest.raises(ContractError, match="layer 'b' is not"):
        fitted(broken)
    wide = Features(("x",), (Geometry.whole(8, 8),), layers={"a": torch.zeros(1, 4, 6, 3)})
    with pytest.raises(UsageError, match="learned no layer 'a' of 3 channels"):
        fitted(pictures(2)).energy(wide)
