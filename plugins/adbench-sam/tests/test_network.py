"""Both libraries answer the same, and as Meta's own builder wires the model."""

from __future__ import annotations

import builtins
import sys

import pytest
import torch
from adbench_sam.architecture import ARCHITECTURES
from adbench_sam.network import build
from segment_anything import sam_model_registry

from adbench import UsageError
from adbench.weights import load_strictly

POINTS = torch.tensor([[3.0, 5.0], [64.0, 64.0], [100.5, 20.25], [127.0, 0.0]])


@pytest.fixture(scope="module")
def twin(lively):
    """The same weights in transformers."""
    network = build(ARCHITECTURES["tiny"], "transformers")
    load_strictly(network.model, network.renamed(lively.model.state_dict()), "the twin")
    return network


def pixels():
    return torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(1))


def test_transformers_equals_segment_anything(lively, twin):
    with torch.no_grad():
        first, second = lively.embed(pixels()), twin.embed(pixels())
        torch.testing.assert_close(second, first, rtol=1e-5, atol=1e-5)
        logits, ious = lively.decode(first, POINTS)
        others, their_ious = twin.decode(second, POINTS)
    assert logits.shape == (4, 3, 32, 32)
    torch.testing.assert_close(others, logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(their_ious, ious, rtol=1e-4, atol=1e-5)


def test_points_matter(lively):
    """Guards the tests here: weights that ignore the points would hide a mistake."""
    with torch.no_grad():
        logits, _ = lively.decode(lively.embed(pixels()), POINTS)
    assert float((logits[1:] - logits[:1]).abs().amax(dim=(1, 2, 3)).min()) > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("model", ["vit_b", "vit_l", "vit_h"])
def test_the_sizes_are_metas(model):
    """Names and shapes of all weights; nothing is filled."""
    with torch.device("meta"):
        ours, theirs = build(ARCHITECTURES[model], "segment-anything").model, sam_model_registry[model]()
    shapes = [{name: tensor.shape for name, tensor in net.state_dict().items()} for net in (ours, theirs)]
    assert shapes[0] == shapes[1]
    windows = [[block.window_size for block in net.image_encoder.blocks] for net in (ours, theirs)]
    assert windows[0] == windows[1]
    heads = [net.image_encoder.blocks[0].attn.num_heads for net in (ours, theirs)]
    assert heads[0] == heads[1]
    decoders = [net.mask_decoder.transformer.layers[0].self_attn.num_heads for net in (ours, theirs)]
    assert decoders[0] == decoders[1]
    norms = [[str(part) for part in net.modules() if "Norm" in type(part).__name__] for net in (ours, theirs)]
    assert norms[0] == norms[1]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["vit_b", "vit_h"])
def test_the_sizes_are_the_same_in_transformers(model):
    with torch.device("meta"):
        ours = build(ARCHITECTURES[model], "segment-anything").model
        network = build(ARCHITECTURES[model], "transformers")
        shapes = {name: tensor.shape for name, tensor in network.renamed(ours.state_dict()).items()}
    assert shapes == {name: tensor.shape for name, tensor in network.model.state_dict().items()}
    decoder = [str(part) for part in network.model.mask_decoder.modules() if type(part) is torch.nn.LayerNorm]
    theirs = [str(part) for part in ours.mask_decoder.modules() if type(part) is torch.nn.LayerNorm]
    assert decoder == theirs


@pytest.mark.parametrize(("library", "package"), [("segment-anything", "segment_anything"), ("transformers",) * 2])
def test_a_library_that_is_not_there_is_named(monkeypatch, library, package):
    for module in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    real = builtins.__import__

    def without(name, *rest, **named):
        if name.partition(".")[0] == package:
            raise ImportError(f"No module named {name!r}")
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=rf"masker 'sam'.*{library} cannot be imported.*pip install {library}"):
        build(ARCHITECTURES["tiny"], library)
