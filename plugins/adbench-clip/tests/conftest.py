"""A CLIP small enough for tests: two blocks of 64 channels each, and 16 dimensions for image and text."""

from __future__ import annotations

import json

import pytest
import torch

from adbench import Batch, Context, Features, FeatureStream, Geometry

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}
"""In open_clip's form."""


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The file of its architecture."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.json"
    path.write_text(json.dumps(TINY))
    return path


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """The whole model as open_clip builds it, and a file of its weights: random ones, with no two alike."""
    from open_clip.model import CLIP
    from safetensors.torch import save_file

    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = CLIP(**TINY).eval()
        for parameter in model.parameters():
            parameter.data.add_(torch.randn_like(parameter), alpha=0.05)
    path = tmp_path_factory.mktemp("tiny") / "tiny.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, path)
    return model, path


def images(count, side=32, seed=0):
    pixels = torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))
    return Batch(tuple(f"image {i}" for i in range(count)), pixels, (Geometry.whole(side, side),) * count)


@pytest.fixture
def batch():
    return images


@pytest.fixture
def ready():
    def ready(component, **surroundings):
        component.prepare(Context(**surroundings))
        return component

    return ready


class Stream(FeatureStream):
    """These batches of features."""

    def __init__(self, *batches):
        self.batches = batches

    @property
    def ids(self):
        return tuple(name for batch in self.batches for name in batch.ids)

    def __iter__(self):
        return iter(self.batches)


@pytest.fixture
def stream():
    return Stream


@pytest.fixture
def seen():
    """Features of images that are made of tensors alone."""

    def seen(patches, layers=None, image=None, first=0):
        ids = tuple(f"image {first + i}" for i in range(len(patches)))
        return Features(ids, (Geometry.whole(8, 8),) * len(ids), patches=patches, layers=layers, image=image)

    return seen
