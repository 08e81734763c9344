"""APRIL-GAN's scores, worked out by hand from two prompts at right angles."""

from __future__ import annotations

import math

import pytest
import torch
from adbench_clip.april_gan import AprilGan
from adbench_clip.prompts import Prompts
from adbench_clip.prompts_few import PromptsFew

ONE, OTHER = (1.0, 0.0), (0.0, 1.0)
PROMPTS = {"normal": torch.tensor([ONE]), "abnormal": torch.tensor([OTHER])}
HIGH, LOW = 1 / (1 + math.exp(-1)), 1 / (1 + math.exp(1))


def row(*vectors):
    return torch.tensor(vectors).reshape(1, 1, len(vectors), -1)


@pytest.fixture
def zero():
    bank = Prompts()
    bank.restore(PROMPTS)
    return bank


@pytest.fixture
def few():
    bank = PromptsFew()
    blocks = {"patches": torch.tensor([ONE]), "layer.block1": torch.tensor([(1.0, 0.0, 0.0)])}
    bank.restore({**PROMPTS, **blocks, "ids": torch.tensor(list(b"reference"), dtype=torch.uint8)})
    return bank


@pytest.fixture
def query(seen):
    layers = {
        "block1": row((2.0, 0.0, 0.0), (0.0, 0.0, 1.0)),
        "text1": row(ONE, OTHER),
        "text2": row(OTHER, OTHER),
    }
    return seen(row(ONE, ONE), layers, torch.tensor([ONE]))


@pytest.mark.proves("april-gan")
def test_zero_shot_is_the_mean_over_the_blocks_in_the_space_of_text(query, zero):
    scores = AprilGan(temperature=1.0).score(query, zero)
    assert scores.patches[0, 0].tolist() == pytest.approx([(LOW + HIGH) / 2, HIGH])
    assert scores.image.tolist() == pytest.approx([LOW])


@pytest.mark.proves("april-gan-few")
def test_few_shot_adds_the_distance_to_the_nearest_reference(query, few):
    scores = AprilGan(temperature=1.0).score(query, few)
    assert scores.patches[0, 0].tolist() == pytest.approx([(LOW + HIGH) / 2, HIGH + 1], abs=1e-6)
    assert scores.image.tolist() == pytest.approx([(LOW + HIGH + 1) / 2])


def test_layers_without_that_name_are_all_compared_with_text(zero, seen):
    query = seen(row(ONE, ONE), {"last": row(ONE, OTHER)}, torch.tensor([OTHER]))
    assert AprilGan(temperature=1.0).score(query, zero).patches[0, 0].tolist() == pytest.approx([LOW, HIGH])


def test_coarser_layers_are_brought_to_the_finest_grid(zero, seen):
    query = seen(row(ONE, ONE), {"fine": row(ONE, ONE), "coarse": row(OTHER)}, torch.tensor([ONE]))
    expected = [(LOW + HIGH) / 2] * 2
    assert AprilGan(temperature=1.0).score(query, zero).patches[0, 0].tolist() == pytest.approx(expected)


def test_patches_are_told_apart_on_the_toys():
    """What the kit's rule asks for, of the map."""
    from adbench import Context
    from adbench.builtin.toy import ToyPrototypes
    from adbench.testing.reference_metrics import auroc
    from adbench.testing.toy_data import toys

    given, bank = toys(), ToyPrototypes()
    bank.fit(given.train, Context())
    scores = AprilGan().score(given.test.features, bank).patches
    assert auroc(given.truth.numpy().ravel(), scores.numpy().ravel()) > 0.9
