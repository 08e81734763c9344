"""The network that a tuner trains, and tuned weights that are taken over."""

from __future__ import annotations

import pytest
import torch
from adbench_timm.models import Timm

from adbench import Context, UsageError, Weights, WeightsError
from adbench.testing.toy_data import image_batch

TUNED = Weights("resnet18, tuned by a test", "1" * 64)


@pytest.fixture(scope="module")
def backbone():
    return made()


def made(**options):
    backbone = Timm(model="resnet18", weights="random", **{"layers": (1, 2), **options})
    backbone.prepare(Context(runtime="torch"))
    return backbone


def test_the_network_gives_what_the_backbone_gives(backbone):
    batch, trainable = image_batch(64, 96, 2), backbone.trainable()
    features = backbone.extract(batch)
    *maps, image = trainable.network(batch.images)
    assert len(trainable.blocks) == 2  # of layers 1 and 2; those behind them are cut off
    for found, wanted in zip([*maps, image], [*features.layers.values(), features.image], strict=True):
        assert torch.allclose(found, wanted, atol=1e-5)
    assert any(isinstance(part, torch.nn.BatchNorm2d) for part in trainable.network.modules())
    assert not any(one.requires_grad for one in trainable.network.parameters())


def test_weights_are_taken_over_and_named():
    backbone, batch = made(), image_batch(64, 64, 2)
    before, trainable = backbone.extract(batch).image, backbone.trainable()
    with torch.no_grad():
        for one in trainable.blocks[-1].parameters():
            one.add_(0.1)
    backbone.take(trainable.network.state_dict(), TUNED)
    after = backbone.extract(batch).image
    assert torch.allclose(after, trainable.network(batch.images)[-1], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(after, before, atol=1e-2)
    assert backbone.weights() == (TUNED,)
    with pytest.raises(UsageError, match="was tuned before"):
        backbone.trainable()


def test_weights_of_another_network_are_refused(backbone):
    state = made(layers=(1,)).trainable().network.state_dict()
    with pytest.raises(WeightsError, match="the weights are those of another model"):
        made().take(state, TUNED)
