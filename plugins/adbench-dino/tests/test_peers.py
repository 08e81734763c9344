"""The same random weights in transformers' models and in ours give the same features."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from adbench_dino.dinov2 import DinoV2
from adbench_dino.dinov3 import DinoV3
from safetensors.torch import load_file, save_file

from adbench import Batch, Context, Features, Geometry, WeightsError

pytestmark = pytest.mark.slow

transformers = pytest.importorskip("transformers", reason="transformers is a test dependency")

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


def batch(height: int, width: int, count: int = 2) -> Batch:
    images = torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(height * width))
    return Batch(tuple("ab"[:count]), images, (Geometry.whole(height, width),) * count)


def shaken(model: torch.nn.Module) -> torch.nn.Module:
    """No bias, scale or token keeps an initial value that would hide a wrong name."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return model.eval()


def theirs(model: torch.nn.Module, given: Batch) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Tokens after the final norm, and those of each block through the same norm."""
    with torch.no_grad():
        seen = model((given.images - MEAN) / STD, output_hidden_states=True)
        norm = getattr(model, "norm", None) or model.layernorm
        return seen.last_hidden_state, [norm(tokens) for tokens in seen.hidden_states[1:]]


def assert_same(ours: Features, tokens: torch.Tensor, prefix: int) -> None:
    torch.testing.assert_close(ours.patches.flatten(1, 2), tokens[:, prefix:], **CLOSE)
    torch.testing.assert_close(ours.image, tokens[:, 0], **CLOSE)


def vit3(**options) -> torch.nn.Module:
    torch.manual_seed(0)
    config = transformers.DINOv3ViTConfig(num_register_tokens=4, **options)
    return shaken(transformers.DINOv3ViTModel(config))


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> tuple[torch.nn.Module, Path]:
    """The ViT-S/16 of transformers, and its file as people have it."""
    model = vit3()
    folder = tmp_path_factory.mktemp("small")
    model.save_pretrained(folder)
    return model, folder / "model.safetensors"


@pytest.mark.proves("dinov3-knn", "prototype-mahalanobis")
@pytest.mark.parametrize(("height", "width"), [(256, 256), (448, 448), (224, 336)])
def test_dinov3_small_equals_transformers(small, height, width):
    model, file = small
    backbone = DinoV3(size="small", weights=file)
    backbone.prepare(Context())
    given = batch(height, width)
    tokens, _ = theirs(model, given)
    ours = backbone.extract(given)
    assert ours.patches.shape == (2, height // 16, width // 16, 384)
    assert_same(ours, tokens, prefix=5)
    assert backbone.weights()[0].name == "model.safetensors"


@pytest.mark.proves("rad")
def test_dinov3_intermediate_layers_equal_transformers(small):
    model, file = small
    backbone = DinoV3(size="small", weights=file, layers=(2, 5, 11))
    backbone.prepare(Context())
    given = batch(224, 336)
    tokens, blocks = theirs(model, given)
    ours = backbone.extract(given)
    assert list(ours.layers) == ["block2", "block5", "block11"]
    for index in (2, 5, 11):
        torch.testing.assert_close(ours.layers[f"block{index}"].flatten(1, 2), blocks[index][:, 5:], **CLOSE)
    torch.testing.assert_close(ours.image, tokens[:, 0], **CLOSE)


def test_dinov3_layers_without_the_final_norm(small):
    model, file = small
    backbone = DinoV3(size="small", weights=file, layers=4, final_norm=False)
    backbone.prepare(Context())
    given = batch(64, 96)
    with torch.no_grad():
        raw = model((given.images - MEAN) / STD, output_hidden_states=True).hidden_states[5]
    torch.testing.assert_close(backbone.extract(given).patches.flatten(1, 2), raw[:, 5:], **CLOSE)


def test_dinov3_gated_equals_transformers(tmp_path, monkeypatch):
    """The small-plus architecture, of two blocks."""
    model = vit3(num_hidden_layers=2, use_gated_mlp=True, hidden_act="silu")
    shorten(monkeypatch, depth=2)
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    backbone = DinoV3(size="small-plus", weights=tmp_path / "w.safetensors")
    backbone.prepare(Context())
    given = batch(64, 96)
    assert_same(backbone.extract(given), theirs(model, given)[0], prefix=5)


def test_dinov3_convnext_equals_transformers(tmp_path, monkeypatch):
    torch.manual_seed(0)
    model = shaken(transformers.DINOv3ConvNextModel(transformers.DINOv3ConvNextConfig(depths=[1, 1, 2, 1])))
    shorten(monkeypatch, depths=(1, 1, 2, 1))
    model.save_pretrained(tmp_path)
    backbone = DinoV3(size="convnext-tiny", weights=tmp_path / "model.safetensors")
    backbone.prepare(Context())
    given = batch(64, 96)
    with torch.no_grad():
        tokens = model((given.images - MEAN) / STD).last_hidden_state
    assert_same(backbone.extract(given), tokens, prefix=1)


def short_dinov2(monkeypatch, tmp_path, registers, **options) -> tuple[torch.nn.Module, DinoV2]:
    """Two blocks of DINOv2, in transformers and here."""
    kind = "Dinov2WithRegisters" if registers else "Dinov2"
    config = getattr(transformers, kind + "Config")(
        hidden_size=384, num_attention_heads=6, num_hidden_layers=2, image_size=518, patch_size=14, **options
    )
    torch.manual_seed(0)
    model = shaken(getattr(transformers, kind + "Model")(config))
    model.save_pretrained(tmp_path)
    shorten(monkeypatch, depth=2)
    backbone = DinoV2(registers=registers, weights=tmp_path / "model.safetensors")
    backbone.prepare(Context())
    return model, backbone


@pytest.mark.parametrize(("height", "width"), [(518, 518), (224, 224), (224, 336)])
def test_dinov2_with_registers_equals_transformers(monkeypatch, tmp_path, height, width):
    model, backbone = short_dinov2(monkeypatch, tmp_path, registers=True)
    given = batch(height, width, 1)
    assert_same(backbone.extract(given), theirs(model, given)[0], prefix=5)


@pytest.mark.proves("anomaly-dino", "vit-knn")
@pytest.mark.parametrize(("height", "width"), [(518, 518), (224, 224), (224, 336)])
def test_dinov2_equals_transformers_given_the_official_positions(monkeypatch, tmp_path, height, width):
    """transformers interpolates to the exact size; with positions by Meta's rule in their model, both agree."""
    model, backbone = short_dinov2(monkeypatch, tmp_path, registers=False)
    given = batch(height, width, 1)

    def official(_, high, wide):
        table = model.embeddings.position_embeddings
        if (high, wide) == (518, 518):
            return table
        return torch.cat([table[:, :1], meta_positions(table[:, 1:], high // 14, wide // 14)], dim=1)

    monkeypatch.setattr(model.embeddings, "interpolate_pos_encoding", official)
    assert_same(backbone.extract(given), theirs(model, given)[0], prefix=1)


def meta_positions(table: torch.Tensor, high: int, wide: int) -> torch.Tensor:
    """Bicubic interpolation (a = -0.75, edges repeated); place i lies at (i + 0.5) * 37 / (n + 0.1) - 0.5."""
    grid = table.reshape(37, 37, -1)
    return torch.einsum("ai,bj,ijc->abc", cubic(high), cubic(wide), grid).reshape(1, high * wide, -1)


def cubic(count: int, a: float = -0.75) -> torch.Tensor:
    matrix = torch.zeros(count, 37)
    for i in range(count):
        place = (i + 0.5) * 37 / (count + 0.1) - 0.5
        first = int(torch.floor(torch.tensor(place)))
        for j in range(first - 1, first + 3):
            d = abs(place - j)
            near = (a + 2) * d**3 - (a + 3) * d**2 + 1
            far = a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
            matrix[i, min(max(j, 0), 36)] += near if d <= 1 else far if d < 2 else 0.0
    return matrix


def test_timm_names_pass_through(small, tmp_path):
    """A file in timm's form gives the same as the file of transformers that it was made from."""
    _, file = small
    first = DinoV3(weights=file)
    first.prepare(Context())
    save_file(first._model.state_dict(), tmp_path / "timm.safetensors")
    second = DinoV3(weights=tmp_path / "timm.safetensors")
    second.prepare(Context())
    given = batch(64, 64, 1)
    torch.testing.assert_close(first.extract(given).patches, second.extract(given).patches, rtol=0, atol=0)


def test_metas_names_are_understood(small, tmp_path):
    """Meta's file of the same weights, as its repository names them."""
    _, file = small
    first = DinoV3(weights=file)
    first.prepare(Context())
    torch.save(metas_state(first._model.state_dict()), tmp_path / "meta.pth")
    second = DinoV3(weights=tmp_path / "meta.pth")
    second.prepare(Context())
    given = batch(64, 64, 1)
    torch.testing.assert_close(first.extract(given).patches, second.extract(given).patches, rtol=0, atol=0)


def metas_state(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    found = {"mask_token": torch.zeros(1, 384), "rope_embed.periods": torch.zeros(16)}
    for name, tensor in state.items():
        if name.endswith("q_bias"):
            value = state[name.replace("q_bias", "v_bias")]
            found[name.replace("q_bias", "qkv.bias")] = torch.cat([tensor, torch.zeros(384), value])
            found[name.replace("q_bias", "qkv.bias_mask")] = torch.zeros(3 * 384)
        elif not name.endswith("v_bias"):
            old = name.replace("gamma_1", "ls1.gamma").replace("gamma_2", "ls2.gamma")
            found[old.replace("reg_token", "storage_tokens")] = tensor
    return found


def test_weights_of_another_size_are_refused(small):
    _, file = small
    with pytest.raises(WeightsError, match=r"dinov3.*those of another model.*of another shape"):
        DinoV3(size="tiny", weights=file).prepare(Context())


def shorten(monkeypatch, **options) -> None:
    """timm builds its models with fewer blocks."""
    create = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, **given: create(name, **given, **options))


def test_saved_file_has_transformers_names(small):
    """Guards the tests above: the file does not already use timm's names."""
    assert any("q_proj" in name for name in load_file(small[1]))
