"""The channels of layers among those of patches, through all necks."""

import pytest
import torch

from adbench import Features, Geometry
from adbench.builtin.stages.necks import L2, AverageLayers, ConcatLayers, DropLayers, Patchify, PoolChannels
from adbench.engine.features.after_backbone import apply_necks, layer_widths


@pytest.fixture
def seen():
    """Three layers of one image, with patches of the backbone's own."""
    draw = lambda *shape: torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))  # noqa: E731
    layers = {"1": draw(8, 8, 4), "2": draw(4, 4, 6), "3": draw(2, 2, 10)}
    return Features(ids=("a",), geometry=(Geometry.whole(32, 32),), layers=layers)


@pytest.mark.parametrize(
    ("necks", "expected"),
    [
        ([ConcatLayers()], {"1": 4, "2": 6, "3": 10}),
        ([Patchify(), ConcatLayers(), L2()], {"1": 4, "2": 6, "3": 10}),
        ([DropLayers(), ConcatLayers()], {"1": 4, "2": 6}),
        ([PoolChannels(dim=4), ConcatLayers(), PoolChannels(dim=6)], {"1": 2, "2": 2, "3": 2}),
        ([ConcatLayers(), PoolChannels(dim=10)], {"1": 2, "2": 3, "3": 5}),
        ([ConcatLayers(), PoolChannels(dim=3)], None),
        ([PoolChannels(dim=4), AverageLayers()], None),
        ([], None),
        ([Patchify()], None),
    ],
    ids=str,
)
def test_widths_of_layers(seen, necks, expected):
    found = layer_widths(necks, seen)
    assert found == expected
    if found is not None:
        assert sum(found.values()) == apply_necks(necks, seen).patches.shape[-1]


def test_patches_of_the_backbone_itself_are_no_layers(seen):
    alone = seen.having(layers=None, patches=torch.zeros(1, 4, 4, 5))
    assert layer_widths([L2()], alone) is None
    assert layer_widths([L2()], seen.having(patches=torch.zeros(1, 4, 4, 5))) is None
