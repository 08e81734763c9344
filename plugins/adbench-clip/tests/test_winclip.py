"""WinCLIP's scores, worked out by hand from two prompts at right angles."""

from __future__ import annotations

import math

import pytest
import torch
from adbench_clip.prompts import Prompts
from adbench_clip.prompts_few import PromptsFew
from adbench_clip.winclip import WinClip

from adbench import UsageError

ONE, OTHER = (1.0, 0.0), (0.0, 1.0)
PROMPTS = {"normal": torch.tensor([ONE]), "abnormal": torch.tensor([OTHER])}
HIGH, LOW = 1 / (1 + math.exp(-1)), 1 / (1 + math.exp(1))
"""The probability of the abnormal prompt at temperature 1, of a vector that is that prompt, and of the other."""


@pytest.fixture
def zero():
    bank = Prompts()
    bank.restore(PROMPTS)
    return bank


@pytest.fixture
def few():
    """References: patches and windows along the first axis."""
    bank = PromptsFew()
    references = {name: torch.tensor([ONE]) for name in ("patches", "layer.window2")}
    bank.restore({**PROMPTS, **references, "ids": torch.tensor(list(b"reference"), dtype=torch.uint8)})
    return bank


@pytest.fixture
def query(seen):
    """One row of three patches, two windows of which the right one is abnormal, and an image that is normal."""
    patches = torch.tensor([ONE, ONE, OTHER]).reshape(1, 1, 3, 2)
    return seen(patches, {"window2": torch.tensor([ONE, OTHER]).reshape(1, 1, 2, 2)}, torch.tensor([ONE]))


def harmonic(*values):
    return len(values) / sum(1 / value for value in values)


@pytest.mark.proves("winclip")
def test_zero_shot(query, zero):
    scores = WinClip(temperature=1.0).score(query, zero)
    windows = [LOW, harmonic(LOW, HIGH), HIGH]
    assert scores.image.tolist() == pytest.approx([LOW])
    assert scores.patches[0, 0].tolist() == pytest.approx([harmonic(LOW, window) for window in windows])


@pytest.mark.proves("winclip-few")
def test_few_shot(query, few):
    """Half the distances: of patches 0, 0, 1/2; of windows 0 and 1/2, so that a place in both has 0."""
    scores = WinClip(temperature=1.0).score(query, few)
    by_text = [harmonic(LOW, window) for window in (LOW, harmonic(LOW, HIGH), HIGH)]
    by_references = [0, 0, 1 / 2]
    expected = [(text + seen) / 2 for text, seen in zip(by_text, by_references, strict=True)]
    assert scores.patches[0, 0].tolist() == pytest.approx(expected, abs=1e-6)
    assert scores.image.tolist() == pytest.approx([(LOW + 1 / 2) / 2])


def test_rounding_below_zero_does_not_turn_a_mean_around(query, few, monkeypatch):
    """1 - cosine of a vector with itself may come out as -6e-8."""
    monkeypatch.setattr(PromptsFew, "association", lambda bank, grid, layer=None: torch.full(grid.shape[:3], -6e-8))
    scores = WinClip(temperature=1.0).score(query, few).patches
    assert scores.isfinite().all()
    assert (scores >= 0).all()


def test_the_temperature_sharpens(query, zero):
    assert WinClip(temperature=0.07).score(query, zero).image.item() == pytest.approx(1 / (1 + math.exp(1 / 0.07)))


def test_every_layer_is_a_scale(query, zero, seen):
    layers = {**query.layers, "window3": torch.tensor([OTHER]).reshape(1, 1, 1, 2)}
    scores = WinClip(temperature=1.0).score(seen(query.patches, layers, query.image), zero)
    windows = [LOW, harmonic(LOW, HIGH), HIGH]
    assert scores.patches[0, 0].tolist() == pytest.approx([harmonic(LOW, window, HIGH) for window in windows])


def test_patches_are_told_apart_on_the_toys():
    """What the kit's rule asks for, of the map."""
    from adbench import Context
    from adbench.builtin.toy import ToyPrototypes
    from adbench.testing.reference_metrics import auroc
    from adbench.testing.toy_data import toys

    given, bank = toys(), ToyPrototypes()
    bank.fit(given.train, Context())
    scores = WinClip().score(given.test.features, bank).patches
    assert auroc(given.truth.numpy().ravel(), scores.numpy().ravel()) > 0.9


def test_layers_that_are_no_windows_are_reported(query, zero, seen):
    larger = torch.ones(1, 2, 3, 2)
    with pytest.raises(UsageError, match="2x3 windows cannot lie on 1x3 patches"):
        WinClip().score(seen(query.patches, {"block1": larger}, query.image), zero)


def test_a_bank_of_another_model_is_reported(query, zero, seen):
    with pytest.raises(UsageError, match="the prompts of bank 'prompts' have 2 channels, and what is compared .* 5"):
        WinClip().score(seen(query.patches, query.layers, torch.ones(1, 5)), zero)
