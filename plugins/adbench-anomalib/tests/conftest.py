"""A network of the form that anomalib's have, small enough to learn in a second, and streams for it."""

from __future__ import annotations

import pytest
import torch
from adbench_anomalib import bank as bank_module
from adbench_anomalib.bank import Anomalib
from adbench_anomalib.models import catalog
from adbench_anomalib.models.adapter import Adapter, Answer
from torch import nn

from adbench import Context, Features, FeatureStream, Geometry


class Redrawing(nn.Module):
    """Redraws the colours of an image, cell by cell, through two values; draws noise from the global generator."""

    def __init__(self):
        super().__init__()
        self.narrow, self.wide = nn.Conv2d(3, 2, 8, stride=8), nn.ConvTranspose2d(2, 3, 8, stride=8)
        self.register_buffer("middle", torch.zeros(3, 1, 1))

    def forward(self, images):
        noise = 0.01 * torch.randn(images.shape) if self.training else 0
        return self.wide(self.narrow(images - self.middle + noise)) + self.middle


class FakeAdapter(Adapter):
    """A model of the form that anomalib's have, without anomalib."""

    rate = 0.02
    multiple = 8
    least = 16
    held_out = 0.2
    usual = "plain"
    architectures = ("plain", "other")
    seen = None

    def network(self, layout):
        return Redrawing()

    def learned(self, network):
        return nn.ModuleDict({"all": network})

    def begin(self, network, examples, chosen, device):
        type(self).seen = list(chosen)
        network.middle.copy_(torch.cat([each.images for each in examples.parts(chosen)]).mean((0, 2, 3))[:, None, None])

    def factor(self, done):
        return 1 - done / 2

    def loss(self, network, shown, step):
        return (network(shown.images) - shown.images).square().mean()

    def answer(self, network, shown):
        maps = (network(shown.images) - shown.images).square().sum(1)
        return Answer(maps, maps.amax((1, 2)))


class FakeOnLayers(FakeAdapter):
    """The same with layers and images."""

    reads = frozenset({"layers", "images"})

    def answer(self, network, shown):
        found = super().answer(network, shown)
        return Answer(found.maps + 0 * shown.layers[0].mean(), found.scores)


class FakeWithOwn(FakeAdapter):
    """The same with a pretrained part of its own."""

    own = True

    def network(self, layout):
        network = Redrawing()
        with self.setting.weights.seeded():
            network.frozen = nn.Linear(2, 2)
        return network

    def brought(self, network):
        return network.frozen


FAKES = {"fake": FakeAdapter, "fake-layers": FakeOnLayers, "fake-own": FakeWithOwn}


@pytest.fixture(autouse=True)
def fakes(monkeypatch):
    """The fakes are among the models, and nobody asks for anomalib."""
    named = {name: f"{__name__}:{cls.__name__}" for name, cls in FAKES.items()}
    monkeypatch.setattr(catalog, "ADAPTERS", {**catalog.ADAPTERS, **named})
    real = catalog.adapter_of
    monkeypatch.setattr(bank_module, "adapter_of", lambda model: FAKES.get(model) or real(model))
    monkeypatch.setattr(bank_module, "require_anomalib", lambda who: None)


BRIEF = {"model": "fake", "steps": 5, "batch": 4}


class Shots(FeatureStream):
    """Images from 0 to 1, and two layers made from them."""

    def __init__(self, *batches):
        self.batches = [features(images, f"batch {number}") for number, images in enumerate(batches)]

    @property
    def ids(self):
        return [name for batch in self.batches for name in batch.ids]

    def __iter__(self):
        return iter(self.batches)


def features(images, name="query"):
    cells = images.permute(0, 2, 3, 1)
    return Features(
        tuple(f"{name}/{index}" for index in range(len(images))),
        (Geometry.whole(*images.shape[2:]),) * len(images),
        layers={"layer2": cells[:, ::8, ::8], "layer1": cells[:, ::4, ::4]},
        images=images,
    )


@pytest.fixture
def photos():
    def photos(count, height=24, width=32, seed=0):
        generator = torch.Generator().manual_seed(seed)
        coarse = torch.rand(count, 3, 2, 2, generator=generator)
        return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")

    return photos


@pytest.fixture
def fitted(tmp_path):
    def fitted(*batches, ctx=None, **options):
        ctx = ctx or Context(workdir=tmp_path)
        bank = Anomalib(**{**BRIEF, **options})
        bank.prepare(ctx)
        bank.fit(Shots(*batches), ctx)
        return bank

    return fitted
