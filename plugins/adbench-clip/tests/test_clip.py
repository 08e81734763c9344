"""The backbone: its options, what it provides, and what it refuses."""

from __future__ import annotations

import json

import pytest
import torch
from adbench_clip.clip import Clip

from adbench import UnknownName, UsageError


@pytest.fixture
def made(tiny, ready):
    return lambda **options: ready(Clip(architecture=tiny, weights="random", **options))


def test_everything_that_it_gives(made, batch):
    seen = made(blocks=(0,), text_blocks=1).extract(batch(2))
    assert seen.image.shape == (2, 16)
    assert seen.patches.shape == (2, 4, 4, 64)
    shapes = {name: tuple(layer.shape[1:]) for name, layer in seen.layers.items()}
    assert shapes == {"block0": (4, 4, 64), "text1": (4, 4, 16), "window2": (3, 3, 16), "window3": (2, 2, 16)}


def test_without_layers_there_are_none(made, batch):
    backbone = made(windows="")
    assert backbone.extract(batch(1)).layers is None
    assert backbone.provides(backbone.config) == {"patches", "image", "text"}
    assert "layers" in Clip.provides(Clip().config)


def test_a_model_without_text_tower_still_sees(tmp_path, tiny, ready, batch):
    content = json.loads(tiny.read_text())
    del content["text_cfg"]
    (tmp_path / "blind.json").write_text(json.dumps(content))
    backbone = ready(Clip(architecture=tmp_path / "blind.json", weights="random"))
    assert backbone.extract(batch(1)).image.shape == (1, 16)
    assert "text" not in backbone.provides(backbone.config)


def test_images_of_zero_to_one_are_normalised_as_clip_was_trained(whole, tiny, ready, batch):
    model, path = whole
    given = batch(2)
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    normalised = (given.images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    with torch.no_grad():
        expected = model.encode_image(normalised)
    found = ready(Clip(architecture=tiny, weights=path)).extract(given).image
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_another_resolution_interpolates_the_positions(made, batch):
    seen = made(resolution=48).extract(batch(1, side=48))
    assert seen.patches.shape == (1, 6, 6, 64)


def test_the_default_preparation_is_winclips():
    assert Clip.defaults(Clip().config)["preprocess"] == [{"resize": {"size": [240, 240], "interpolation": "bicubic"}}]
    assert Clip.defaults(Clip(resolution=480).config)["preprocess"][0]["resize"]["size"] == [480, 480]


def test_images_of_another_size_are_refused(made, batch):
    with pytest.raises(UsageError, match=r"for 32x32 pixels, not 40x40; resize to \[32, 32\], or set resolution"):
        made().extract(batch(1, side=40))


@pytest.mark.parametrize(
    ("options", "reported"),
    [
        ({"resolution": 30}, "resolution 30 is no multiple of the patch of 8 pixels"),
        ({"windows": (5,)}, "a window of 5 patches does not fit into 4"),
        ({"windows": (0,)}, "a window of 0 patches does not fit"),
    ],
)
def test_options_that_cannot_be_name_the_fix(made, options, reported):
    with pytest.raises(UsageError, match=reported):
        made(**options)


@pytest.mark.parametrize("option", ["blocks", "text_blocks"])
def test_an_unknown_block_is_refused(made, option):
    with pytest.raises(UnknownName, match="unknown block .*2.*of backbone 'clip'.* known: 0 to 1"):
        made(**{option: 2})


def test_blocks_that_are_not_plain_have_no_value_path(tmp_path, tiny, ready):
    content = json.loads(tiny.read_text())
    content["vision_cfg"]["qk_norm"] = True
    (tmp_path / "custom.json").write_text(json.dumps(content))
    with pytest.raises(UsageError, match="the blocks of custom have no plain value path"):
        ready(Clip(architecture=tmp_path / "custom.json", weights="random", last_block="value"))


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_gives_nearly_the_same_float32(made, batch, precision):
    exact, rough = made().extract(batch(2)), made(precision=precision).extract(batch(2))
    for left, right in ((exact.patches, rough.patches), (exact.layers["window3"], rough.layers["window3"])):
        assert right.dtype == torch.float32
        assert not torch.equal(left, right)
        assert torch.nn.functional.cosine_similarity(left, right, dim=-1).min() > 0.99


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_runtimes_give_what_torch_gives(tiny, made, ready, batch, tmp_path, runtime):
    pytest.importorskip(runtime, reason=f"{runtime} is not installed")
    options = {"blocks": (0,), "text_blocks": (1,), "last_block": "value"}
    other = ready(Clip(architecture=tiny, weights="random", **options), runtime=runtime, cache=tmp_path)
    for count in (3, 1):
        found, wanted = other.extract(batch(count)), made(**options).extract(batch(count))
        for name, layer in wanted.layers.items():
            assert float((found.layers[name] - layer).norm() / layer.norm()) < 1e-5
    assert (other.runtime, other.notes) == (runtime, ())
