from __future__ import annotations

import os
import subprocess
import sys

import pytest
import timm
import torch
from adbench_dino.dino import Dino
from adbench_dino.dinov2 import DinoV2
from adbench_dino.dinov3 import MODELS, DinoV3

from adbench import Batch, Context, Geometry, UnknownName, UsageError, WeightsError

pytestmark = pytest.mark.slow


def batch(height: int, width: int, count: int = 2) -> Batch:
    images = torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))
    return Batch(tuple(map(str, range(count))), images, (Geometry.whole(height, width),) * count)


def ready(backbone: Dino) -> Dino:
    backbone.prepare(Context())
    return backbone


def test_every_size_is_a_model_of_timm():
    known = set(timm.list_pretrained())
    assert set(MODELS.values()) <= known
    every = [DinoV2(size=s, registers=r).model for s in ("small", "base", "large", "giant") for r in (True, False)]
    assert set(every) <= known


def test_tiny_gives_patches_and_an_image_vector():
    seen = ready(DinoV3(size="tiny", weights="random")).extract(batch(64, 96))
    assert seen.patches.shape == (2, 4, 6, 192)
    assert seen.image.shape == (2, 192)
    assert seen.layers is None


def test_one_layer_is_also_the_patches():
    backbone = ready(DinoV3(size="tiny", layers=2, weights="random"))
    seen = backbone.extract(batch(32, 32))
    assert torch.equal(seen.patches, seen.layers["block2"])
    assert backbone.provides(backbone.config) == {"patches", "layers", "image"}


def test_blocks_behind_the_last_are_gone():
    assert len(ready(DinoV3(size="tiny", layers=2, weights="random"))._model.blocks) == 3
    assert len(ready(DinoV2(layers=2, weights="random"))._model.blocks) == 3


def test_several_layers_are_merged_by_default():
    assert DinoV3.defaults(DinoV3(layers=(1, 2)).config)["neck"] == [{"concat-layers": {}}]
    assert DinoV3.defaults(DinoV3().config)["neck"] == []


@pytest.mark.parametrize("layer", [-1, 12])
def test_an_unknown_layer_is_refused(layer):
    with pytest.raises(UnknownName, match="unknown layer .* known: 0 to 11"):
        ready(DinoV3(size="tiny", layers=layer, weights="random"))


@pytest.mark.parametrize(
    ("backbone", "cell"),
    [(DinoV3(size="tiny", weights="random"), 16), (DinoV2(weights="random", layers=0), 14)],
)
def test_sizes_that_cannot_be_cut_name_the_fix(backbone, cell):
    with pytest.raises(UsageError, match=rf"multiples of {cell}, or add the preprocessor 'crop-to-multiple'"):
        ready(backbone).extract(batch(50, 64))


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
@pytest.mark.parametrize("kind", [DinoV3, DinoV2])
def test_half_precision_gives_nearly_the_same_float32(kind, precision):
    options = {"weights": "random", "layers": 3} | ({"size": "tiny"} if kind is DinoV3 else {})
    side = 64 if kind is DinoV3 else 70
    exact = ready(kind(**options)).extract(batch(side, side)).patches
    rough = ready(kind(**options, precision=precision)).extract(batch(side, side)).patches
    assert rough.dtype == torch.float32
    assert not torch.equal(rough, exact)
    assert torch.nn.functional.cosine_similarity(rough, exact, dim=-1).min() > 0.999


def test_random_weights_depend_on_the_seed_alone():
    def sha(seed):
        return ready(DinoV3(size="tiny", weights="random", random_seed=seed)).weights()[0].sha256

    assert sha(1) == sha(1)
    assert sha(1) != sha(2)


@pytest.mark.slow
def test_offline_is_one_clear_error(tmp_path):
    code = "from adbench import Context; from adbench_dino.dinov3 import DinoV3; DinoV3().prepare(Context())"
    surroundings = {**os.environ, "HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"}
    surroundings.pop("HF_HUB_CACHE", None)
    ended = subprocess.run([sys.executable, "-c", code], env=surroundings, capture_output=True, text=True, check=False)
    reported = ended.stderr.strip().splitlines()[-1]
    for part in (
        "WeightsError",
        "timm/vit_small_patch16_dinov3_qkvb.lvd1689m",
        str(tmp_path),
        "HF_HOME",
        "weights=PATH",
    ):
        assert part in reported


def test_importing_the_plugin_is_light():
    code = "import sys, adbench_dino, adbench_dino.dinov3; print('torch' in sys.modules or 'timm' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"


def test_the_rotary_table_of_a_grid_is_made_once(monkeypatch):
    backbone = ready(DinoV3(size="tiny", layers=0, weights="random"))
    rope, made = backbone._model.rope, []
    make = rope._create_embed
    monkeypatch.setattr(rope, "_create_embed", lambda shape, **options: made.append(shape) or make(shape, **options))
    for height in (64, 96, 64, 64):
        backbone.extract(batch(height, 96))
    assert made == [[4, 6], [6, 6]]


def worst(found, wanted):
    """The largest relative difference of patches or layers and of image vectors, by norm."""
    layers = found.layers or {"patches": found.patches}
    known = wanted.layers or {"patches": wanted.patches}
    pairs = [(found.image, wanted.image), *((layers[name], known[name]) for name in known)]
    return max(float((left - right).norm() / right.norm()) for left, right in pairs)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "options", "cell"),
    [
        (DinoV3, {"size": "tiny"}, 16),
        (DinoV3, {"size": "small", "layers": (1, 3)}, 16),
        (DinoV3, {"size": "convnext-tiny", "layers": (0, 3)}, 32),
        (DinoV2, {"layers": (0, 2)}, 14),
        (DinoV2, {"registers": True, "layers": 1}, 14),
    ],
)
def test_runtimes_give_what_torch_gives(kind, options, cell, tmp_path):
    """Both from the same exported files, one for each of two sizes: exporting takes most of this test's time."""
    plain = ready(kind(weights="random", **options))
    given = [batch(rows * cell, columns * cell, count) for rows, columns, count in ((4, 6, 3), (4, 6, 1), (5, 4, 2))]
    wanted = [plain.extract(images) for images in given]
    for runtime in ("onnxruntime", "openvino"):
        backbone = kind(weights="random", **options)
        backbone.prepare(Context(runtime=runtime, cache=tmp_path))
        for images, own in zip(given, wanted, strict=True):
            assert worst(backbone.extract(images), own) <= 1e-3
        assert (backbone.runtime, backbone.notes) == (runtime, ())
        assert len(list(tmp_path.glob("runtimes/*.onnx"))) == 2


@pytest.mark.parametrize("prefix", ["", "module.", "backbone.", "module._orig_mod.", "teacher.backbone."])
@pytest.mark.parametrize("beside", [{}, {"head.weight": torch.ones(4, 192)}, {"dino_head.mlp.0.weight": torch.ones(3)}])
def test_weights_are_taken_as_training_leaves_them(prefix, beside, tmp_path):
    backbone = ready(DinoV3(size="tiny", weights="random", layers=3))
    state = timm.create_model(backbone.model).state_dict()
    torch.save(state, tmp_path / "plain.pth")
    used = {name: tensor for name, tensor in state.items() if not name.startswith("blocks.9")}
    torch.save({"model": {prefix + name: tensor for name, tensor in used.items()} | beside}, tmp_path / "w.pth")
    found, wanted = (
        ready(DinoV3(size="tiny", layers=3, weights=tmp_path / name)).extract(batch(64, 64))
        for name in ("w.pth", "plain.pth")
    )
    assert torch.equal(found.patches, wanted.patches)
    assert torch.equal(found.image, wanted.image)


@pytest.mark.parametrize("missing", ["blocks.2.", "norm.", "patch_embed."])
def test_what_is_used_must_be_there(missing, tmp_path):
    backbone = DinoV3(size="tiny", layers=3, weights=tmp_path / "w.pth")
    state = timm.create_model(backbone.model).state_dict()
    torch.save({name: tensor for name, tensor in state.items() if not name.startswith(missing)}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=f"another model: .*missing .{missing[:-1]}"):
        ready(backbone)
