"""The bank of prompts and references: what it keeps, and distances worked out by hand."""

from __future__ import annotations

import pytest
import torch
from adbench_clip.prompts_few import PromptsFew
from safetensors.torch import load, save

from adbench import Context, ContractError, DataError, Source, UsageError


@pytest.fixture
def made(tiny, ready):
    def made(*batches, stream):
        bank = ready(PromptsFew(architecture=tiny, weights="random"))
        bank.fit(stream(*batches), Context())
        return bank

    return made


def grid(*rows):
    """One image of one row of patches."""
    return torch.tensor(rows).reshape(1, 1, len(rows), -1)


def test_the_distance_to_the_most_similar_reference(made, stream, seen):
    bank = made(seen(grid((1.0, 0.0), (0.0, 2.0))), seen(grid((3.0, 4.0), (-1.0, 0.0)), first=1), stream=stream)
    found = bank.association(grid((5.0, 0.0), (4.0, 3.0), (0.0, -1.0)))
    assert found.tolist() == [[pytest.approx([0, 1 - 24 / 25, 1], abs=1e-6)]]


def test_layers_are_kept_apart(made, stream, seen):
    layers = {"window2": grid((0.0, 1.0)), "block1": grid((1.0, 1.0, 1.0), (1.0, 0.0, 0.0))}
    bank = made(seen(grid((1.0, 0.0)), layers), stream=stream)
    assert bank.layers == {"window2", "block1"}
    assert bank.association(grid((1.0, 0.0)), "window2").item() == pytest.approx(1)
    assert bank.association(grid((1.0, 0.0)))[0].item() == pytest.approx(0)


def test_it_is_also_a_bank_of_patches(made, stream, seen, gaussian_noise):
    bank = made(seen(gaussian_noise(2, 2, 3, 4)), seen(gaussian_noise(1, 2, 3, 4, seed=1), first=2), stream=stream)
    assert torch.equal(bank.vectors[:12], gaussian_noise(2, 2, 3, 4).flatten(0, 2))
    assert list(bank.owners) == ["image 0"] * 6 + ["image 1"] * 6 + ["image 2"] * 6
    assert PromptsFew.learns_from is Source.TRAIN


def test_what_it_knows_survives(made, stream, seen, gaussian_noise):
    bank = made(seen(gaussian_noise(2, 2, 3, 4), {"window2": gaussian_noise(2, 1, 2, 5)}), stream=stream)
    other = PromptsFew()
    other.restore(load(save(bank.state())))
    query = gaussian_noise(1, 1, 2, 5, seed=3)
    assert torch.equal(other.association(query, "window2"), bank.association(query, "window2"))
    assert torch.equal(other.normal, bank.normal)
    assert list(other.owners) == list(bank.owners)
    assert other.facts()["references"] == 2


def test_an_export_finds_the_same_distances(made, stream, seen, gaussian_noise):
    bank = made(seen(gaussian_noise(3, 2, 3, 4), {"window2": gaussian_noise(3, 1, 2, 5)}), stream=stream)
    twin = bank.for_export()
    for layer, shape in ((None, (2, 2, 3, 4)), ("window2", (2, 1, 2, 5))):
        query = gaussian_noise(*shape, seed=3)
        torch.testing.assert_close(twin.association(query, layer), bank.association(query, layer), rtol=1e-5, atol=1e-6)
    assert torch.equal(twin.normal, bank.normal)


def test_facts_before_anything_is_learned():
    assert PromptsFew().facts()["references"] == 0
    assert PromptsFew().state() == {}


def test_no_image_is_reported(made, stream):
    with pytest.raises(DataError, match="bank 'prompts-few': there is no image to learn from"):
        made(stream=stream)


@pytest.mark.slow
def test_another_grid_is_reported(made, stream, seen, gaussian_noise):
    with pytest.raises(ContractError, match="all images have one grid of 'patches'"):
        made(seen(gaussian_noise(1, 2, 3, 4)), seen(gaussian_noise(1, 3, 2, 4), first=1), stream=stream)


@pytest.mark.slow
def test_what_is_not_finite_is_reported(made, stream, seen):
    with pytest.raises(ContractError, match=r"'layer.window2' has NaN or infinity"):
        made(seen(grid((1.0, 0.0)), {"window2": grid((float("nan"), 0.0))}), stream=stream)


def test_a_layer_that_it_does_not_know_is_reported(made, stream, seen, gaussian_noise):
    bank = made(seen(gaussian_noise(1, 2, 3, 4)), stream=stream)
    for query, layer in ((gaussian_noise(1, 2, 3, 4), "window2"), (gaussian_noise(1, 2, 3, 5), None)):
        with pytest.raises(UsageError, match="fit it on the same backbone"):
            bank.association(query, layer)


def test_the_name_is_needed_beside_patches():
    assert PromptsFew(told=True).needs == {"patches", "class_name"}
    assert PromptsFew().needs == {"patches"}
