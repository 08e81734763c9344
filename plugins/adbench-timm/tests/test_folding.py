from __future__ import annotations

import pytest
import timm
import torch
from adbench_timm.folding import fold_batch_norms
from torch import nn


def settled(network: nn.Module) -> nn.Module:
    """In eval mode, with statistics as if it had been trained."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            module.weight.data.uniform_(0.5, 2, generator=generator)
            module.bias.data.uniform_(-1, 1, generator=generator)
    return network.eval()


def same_after_folding(network: nn.Module) -> int:
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = network(images)
        count = fold_batch_norms(network)
        torch.testing.assert_close(network(images), before, rtol=1e-3, atol=1e-4 * float(before.abs().max()))
    return count


@pytest.mark.slow
def test_every_norm_of_a_resnet_goes():
    network = settled(timm.create_model("resnet18"))
    assert same_after_folding(network) == 20
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def test_activations_inside_norms_stay():
    assert same_after_folding(settled(timm.create_model("tf_efficientnet_lite0"))) > 40


def test_a_norm_with_no_convolution_before_it_stays():
    network = settled(nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)))
    assert same_after_folding(network) == 0


class Shared(nn.Module):
    """The convolution's output is read twice."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, images):
        seen = self.conv(images)
        return seen + self.norm(seen)


def test_a_convolution_with_another_reader_stays():
    assert same_after_folding(settled(Shared())) == 0


class Wayward(nn.Module):
    """Its data flow depends on the data."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, images):
        return self.norm(self.conv(images)) if images.sum() > 0 else images


def test_what_cannot_be_traced_stays():
    assert same_after_folding(settled(Wayward())) == 0


class Standardised(nn.Conv2d):
    """A convolution that changes its weights on the way."""

    def forward(self, images):
        return nn.functional.conv2d(images, self.weight / self.weight.std(), self.bias)


def test_convolutions_of_other_kinds_stay():
    assert same_after_folding(settled(nn.Sequential(Standardised(3, 4, 3), nn.BatchNorm2d(4)))) == 0
