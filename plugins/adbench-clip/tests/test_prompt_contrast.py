"""Patches and image against prompts, worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from adbench_clip.prompt_contrast import PromptContrast
from adbench_clip.prompts import Prompts


@pytest.fixture
def bank():
    bank = Prompts()
    bank.restore({"normal": torch.tensor([[1.0, 0.0]]), "abnormal": torch.tensor([[0.0, 1.0]])})
    return bank


def test_each_patch_and_the_image(bank, seen):
    patches = torch.tensor([[1.0, 0.0], [3.0, 4.0]]).reshape(1, 1, 2, 2)
    scores = PromptContrast(temperature=0.1).score(seen(patches, image=torch.tensor([[0.0, 2.0]])), bank)
    assert scores.patches[0, 0].tolist() == pytest.approx([1 / (1 + math.exp(10)), 1 / (1 + math.exp(-2))])
    assert scores.image.tolist() == pytest.approx([1 / (1 + math.exp(-10))])


def test_patches_are_told_apart_on_the_toys():
    """What the kit's rule asks for, of the map."""
    from adbench import Context
    from adbench.builtin.toy import ToyPrototypes
    from adbench.testing.reference_metrics import auroc
    from adbench.testing.toy_data import toys

    given, bank = toys(), ToyPrototypes()
    bank.fit(given.train, Context())
    scores = PromptContrast().score(given.test.features, bank).patches
    assert auroc(given.truth.numpy().ravel(), scores.numpy().ravel()) > 0.9
