"""The network that a tuner trains, and tuned weights that are taken over."""

from __future__ import annotations

import pytest
import torch
from adbench_dino.dinov2 import DinoV2

from adbench import Context, Weights
from adbench.testing.toy_data import image_batch

TUNED = Weights("dinov2, tuned by a test", "1" * 64)


@pytest.fixture(scope="module")
def backbone():
    backbone = DinoV2(weights="random", layers=(0, 1))
    backbone.prepare(Context(runtime="torch"))
    return backbone


def test_the_network_gives_what_the_backbone_gives(backbone):
    batch, trainable = image_batch(28, 42, 2), backbone.trainable()
    features = backbone.extract(batch)
    *maps, image = trainable.network(batch.images)
    assert len(trainable.blocks) == 2  # those behind the last one used are cut off
    for found, wanted in zip([*maps, image], [*features.layers.values(), features.image], strict=True):
        assert torch.allclose(found, wanted, atol=1e-5)


def test_all_weights_can_learn_step_after_step(backbone):
    """Positions are made anew in each step, as they may learn, too."""
    network = backbone.trainable().network.requires_grad_(True)
    for _ in range(2):
        network(image_batch(28, 42, 1).images)[-1].sum().backward()
    assert network.network.model.pos_embed.grad.abs().sum() > 0


def test_weights_are_taken_over_and_named():
    backbone, batch = DinoV2(weights="random", layers=(1,)), image_batch(28, 28, 2)
    backbone.prepare(Context(runtime="torch"))
    before, trainable = backbone.extract(batch).image, backbone.trainable()
    with torch.no_grad():
        for one in trainable.blocks[-1].parameters():
            one.add_(0.05)
    backbone.take(trainable.network.state_dict(), TUNED)
    after = backbone.extract(batch).image
    assert torch.allclose(after, trainable.network(batch.images)[-1], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(after, before, atol=1e-2)
    assert backbone.weights() == (TUNED,)
