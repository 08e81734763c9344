"""What the backbone computes, and what it says when it cannot."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from adbench_onnx.backbone import Onnx
from onnx import TensorProto, helper, numpy_helper, save
from torch.nn import functional

from adbench import Batch, Context, Geometry, UnknownName, UsageError, WeightsError
from adbench.files import sha256_of

ROOT = Path(__file__).resolve().parents[3]
RESNET = Path(os.environ.get("ADBENCH_TEST_WEIGHTS", ROOT.parent / "shared" / "weights")) / "resnet50v2_stages123.onnx"
KERNEL = np.random.default_rng(0).standard_normal((8, 3, 4, 4)).astype(np.float32)
PLAIN = {"mean": (0, 0, 0), "std": (1, 1, 1)}


def model(path, nodes, outputs, shape=("b", 3, "h", "w"), kind=TensorProto.FLOAT, inputs=("image",)):
    """Save a model of some nodes that may use the constants `kernel`, `flat` and `chw`."""
    constants = {"kernel": KERNEL, "flat": np.array([0, 8, -1]), "vector": np.array([0, -1])}
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(name, kind, shape) for name in inputs],
        [helper.make_tensor_value_info(name, kind, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def conv(given="image", name="maps"):
    return helper.make_node("Conv", [given, "kernel"], [name], strides=[4, 4])


def tokens(given="maps", name="tokens"):
    """[B, 8, H, W] to [B, H * W, 8]."""
    return [
        helper.make_node("Reshape", [given, "flat"], ["channels"]),
        helper.make_node("Transpose", ["channels"], [name], perm=[0, 2, 1]),
    ]


def batch(height=32, width=48, images=2):
    pixels = torch.rand(images, 3, height, width, generator=torch.Generator().manual_seed(0))
    ids = tuple(str(i) for i in range(images))
    return Batch(ids, pixels, (Geometry.whole(height, width),) * images)


def ready(path, device="cpu", **options):
    backbone = Onnx(path=path, **{**PLAIN, **options})
    backbone.prepare(Context(device=device))
    return backbone


def expected(images):
    return functional.conv2d(images, torch.from_numpy(KERNEL), stride=4).permute(0, 2, 3, 1)


@pytest.fixture
def maps(tmp_path):
    return model(tmp_path / "maps.onnx", [conv()], ["maps"])


def test_maps_are_those_of_torch(maps):
    seen = ready(maps, layers=["maps"]).extract(batch())
    torch.testing.assert_close(seen.patches, expected(batch().images), rtol=1e-4, atol=1e-4)
    assert seen.layers.keys() == {"maps"}


def test_all_outputs_are_layers_and_none_is_patches(maps):
    backbone = ready(maps)
    assert backbone.extract(batch()).patches is None
    assert backbone.provides(backbone.config) == {"layers", "image"}
    assert backbone.defaults(backbone.config)["neck"] == ["concat-layers"]
    assert Onnx.defaults(Onnx.Config(path=maps, layers=["maps"]))["neck"] == []


def test_the_image_vector_is_the_mean_of_the_last_layer(maps):
    for layers in (["maps"], []):
        seen = ready(maps, layers=layers).extract(batch())
        assert torch.equal(seen.image, list(seen.layers.values())[-1].mean((1, 2)))


def test_images_are_normalised(maps):
    options = {"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}
    mean, std = (torch.tensor(options[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    seen = ready(maps, layers=["maps"], **options).extract(batch())
    torch.testing.assert_close(seen.patches, expected((batch().images - mean) / std), rtol=1e-4, atol=1e-4)


def test_tokens_become_the_grid_of_the_image(tmp_path):
    path = model(tmp_path / "tokens.onnx", [conv(), *tokens()], ["tokens"])
    for options in ({}, {"grid": (8, 12)}):
        seen = ready(path, layers=["tokens"], **options).extract(batch())
        torch.testing.assert_close(seen.patches, expected(batch().images), rtol=1e-4, atol=1e-4)


def test_leading_tokens_are_stripped(tmp_path):
    nodes = [conv(), *tokens(), helper.make_node("Concat", ["tokens", "tokens"], ["twice"], axis=1)]
    path = model(tmp_path / "twice.onnx", nodes, ["twice"])
    seen = ready(path, layers=["twice"], strip=96).extract(batch())
    torch.testing.assert_close(seen.patches, expected(batch().images), rtol=1e-4, atol=1e-4)
    with pytest.raises(UsageError, match="strip=N"):
        ready(path, layers=["twice"], strip=1).extract(batch())


def test_channels_last_in_and_out(tmp_path):
    nodes = [
        helper.make_node("Transpose", ["image"], ["first"], perm=[0, 3, 1, 2]),
        conv("first", "maps"),
        helper.make_node("Transpose", ["maps"], ["last"], perm=[0, 2, 3, 1]),
    ]
    path = model(tmp_path / "last.onnx", nodes, ["last"], shape=("b", "h", "w", 3))
    seen = ready(path, layers=["last"], layout="nhwc").extract(batch())
    torch.testing.assert_close(seen.patches, expected(batch().images), rtol=1e-4, atol=1e-4)


def test_a_model_for_a_batch_of_one_sees_every_image(tmp_path):
    path = model(tmp_path / "one.onnx", [conv()], ["maps"], shape=(1, 3, "h", "w"))
    seen = ready(path, layers=["maps"]).extract(batch(images=3))
    torch.testing.assert_close(seen.patches, expected(batch(images=3).images), rtol=1e-4, atol=1e-4)


def test_weights_are_the_file(maps):
    (weights,) = ready(maps).weights()
    assert (weights.name, weights.sha256, weights.random) == ("maps.onnx", sha256_of(maps), False)


def test_identity_names_the_content_not_the_folder(maps):
    assert Onnx(path=maps).identity()["path"] == {"file": "maps.onnx", "sha256": sha256_of(maps)}


def test_unknown_output_suggests_the_nearest(maps):
    with pytest.raises(UnknownName, match="unknown output 'map' of maps.onnx; did you mean 'maps'"):
        ready(maps, layers=["map"])


def test_unknown_input_suggests_the_nearest(maps):
    with pytest.raises(UnknownName, match="did you mean 'image'"):
        ready(maps, input="images")


def test_several_inputs_have_to_be_told_apart(tmp_path):
    nodes = [helper.make_node("Add", ["image", "other"], ["sum"])]
    path = model(tmp_path / "sum.onnx", nodes, ["sum"], inputs=("image", "other"))
    with pytest.raises(UsageError, match="image, other; name the image with input=NAME"):
        ready(path)


def test_a_file_that_is_no_model(tmp_path):
    path = tmp_path / "photo.onnx"
    path.write_bytes(b"\x08\x09 no model")
    with pytest.raises(WeightsError, match="photo.onnx: ONNX Runtime cannot load it"):
        ready(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(WeightsError, match="No such file or directory; give the path of an ONNX file"):
        ready(tmp_path / "none.onnx")


def test_weights_outside_the_file_are_refused(maps, tmp_path, monkeypatch):
    from onnx import load

    path = tmp_path / "apart.onnx"
    save(load(maps), path, save_as_external_data=True, location="apart.bin", size_threshold=0)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match="with its weights inside"):
        ready(path)


def test_input_that_is_no_image(tmp_path):
    path = model(tmp_path / "flat.onnx", [helper.make_node("Relu", ["image"], ["out"])], ["out"], shape=("b", 9))
    with pytest.raises(UsageError, match="rank 2; a backbone needs a floating point image of rank 4"):
        ready(path)


def test_output_that_is_no_map(tmp_path):
    nodes = [conv(), helper.make_node("Reshape", ["maps", "vector"], ["out"])]
    path = model(tmp_path / "vector.onnx", nodes, ["out"])
    with pytest.raises(UsageError, match=r"vector.onnx: output 'out' is .*, of rank 2"):
        ready(path).extract(batch())


def test_images_of_another_size_than_the_model_was_exported_for(tmp_path):
    path = model(tmp_path / "fixed.onnx", [conv()], ["maps"], shape=("b", 3, 32, 32))
    with pytest.raises(UsageError, match=r"fixed.onnx takes images of 32x32 pixels .*, not of 32x48; write"):
        ready(path).extract(batch())


def test_cuda_without_cuda_is_refused(maps):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime can use CUDA")
    with pytest.raises(UsageError, match="install onnxruntime-gpu in place of onnxruntime"):
        ready(maps, device="cuda:0")


@pytest.mark.slow
@pytest.mark.skipif(not RESNET.exists(), reason=f"no real model at {RESNET}")
def test_real_resnet():
    backbone = Onnx(path=RESNET, layers=["layer2", "layer3"], threads=2)
    backbone.prepare(Context())
    seen = backbone.extract(batch(64, 96, 1))
    assert {name: tuple(layer.shape) for name, layer in seen.layers.items()} == {
        "layer2": (1, 8, 12, 512),
        "layer3": (1, 4, 6, 1024),
    }
    assert all(bool(layer.isfinite().all()) for layer in seen.layers.values())


def test_it_runs_on_onnx_runtime_and_nothing_else(maps):
    assert ready(maps).runtime == "onnxruntime"
    Onnx(path=maps).prepare(Context(runtime="onnxruntime"))
    with pytest.raises(UsageError, match="it runs on ONNX Runtime, not on openvino; use --runtime auto"):
        Onnx(path=maps).prepare(Context(runtime="openvino"))


@pytest.mark.parametrize("threads", [0, 2])
def test_threads_are_torchs_unless_told(maps, threads):
    options = ready(maps, threads=threads)._model.session.get_session_options()
    assert options.intra_op_num_threads == (threads or torch.get_num_threads())
    assert options.get_session_config_entry("session.force_spinning_stop") == "1"
