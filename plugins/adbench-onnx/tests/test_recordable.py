"""Exports of detectors whose backbone is an ONNX model: one file, whose scores are the detector's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from adbench_onnx.backbone import Onnx
from onnx import TensorProto, helper, numpy_helper, save

from adbench import Context, Detector, UsageError, WeightsError

pytest.importorskip("adbench_memory")
KERNEL = np.random.default_rng(0).standard_normal((6, 3, 4, 4)).astype(np.float32)


def model(path, *, channels=3, last=False, batch="b"):
    """Save a model of a convolution with stride 4, as maps and as their tokens."""
    kernel = KERNEL[:, :channels]
    shape = (batch, "h", "w", channels) if last else (batch, channels, "h", "w")
    constants = {"kernel": kernel, "flat": np.array([0, 6, -1])}
    first = [helper.make_node("Transpose", ["image"], ["nchw"], perm=[0, 3, 1, 2])] if last else []
    nodes = [
        *first,
        helper.make_node("Conv", ["nchw" if last else "image", "kernel"], ["maps"], strides=[4, 4]),
        helper.make_node("Reshape", ["maps", "flat"], ["flattened"]),
        helper.make_node("Transpose", ["flattened"], ["tokens"], perm=[0, 2, 1]),
    ]
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("maps", "tokens")],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.fixture
def photographs():
    drawn = np.random.default_rng(0)
    return [drawn.integers(0, 256, (36, 30, 3), np.uint8) for _ in range(6)]


@pytest.fixture
def fitted(photographs):
    def fitted(path, layers="maps", size="32+32"):
        parts = {"backbone": f"onnx:path={path},layers={layers}", "preprocess": f"resize:size={size}"}
        return Detector(**parts, scorer="knn:k=1", bank="full").fit(photographs[:4])

    return fitted


FORMS = {
    "maps": ({}, "maps"),
    "tokens": ({}, "tokens"),
    "layers": ({}, "maps+tokens"),
    "gray, channels last": ({"channels": 1, "last": True}, "maps"),
    "batch of one": ({"batch": 1}, "maps"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("form", "layers"), FORMS.values(), ids=FORMS)
def test_the_file_alone_gives_the_scores(form, layers, fitted, photographs, tmp_path):
    import onnxruntime

    detector = fitted(model(tmp_path / "net.onnx", **form), layers)
    done = detector.export(tmp_path / "it.onnx", images=[photographs[5]])
    assert done.report.largest_score_difference <= 1e-4
    (tmp_path / "net.onnx").unlink()
    session = onnxruntime.InferenceSession(done.path, providers=["CPUExecutionProvider"])
    score, heat = session.run(None, {"image": photographs[4][None]})
    wanted = detector.predict(photographs[4])
    assert score[0] == pytest.approx(wanted.score, rel=1e-4)
    assert np.allclose(heat[0], wanted.map, atol=1e-4 * wanted.map.max())


def ready(path):
    backbone = Onnx(path=path)
    backbone.prepare(Context())
    return backbone


def test_a_model_for_another_number_of_images_says_so(tmp_path, fitted):
    detector = fitted(model(tmp_path / "net.onnx", batch=1))
    with pytest.raises(UsageError, match=r"cannot be exported for 2 images at once: net.onnx takes 1; use --batch 1"):
        detector.export(tmp_path / "it.onnx", batch=2)


def test_a_model_that_changed_is_not_exported(tmp_path):
    backbone = ready(model(tmp_path / "net.onnx"))
    (tmp_path / "net.onnx").write_bytes(b"another")
    with pytest.raises(WeightsError, match="not the model that the detector runs"):
        backbone.for_export()
    (tmp_path / "net.onnx").unlink()
    with pytest.raises(WeightsError, match="put the model back to export"):
        backbone.for_export()


def test_it_normalises_as_the_backbone_does(tmp_path):
    from adbench import Batch, Geometry

    backbone = ready(model(tmp_path / "net.onnx", channels=1))
    pixels = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    batch = Batch(("a", "b"), pixels, (Geometry.whole(32, 32),) * 2)
    found, wanted = backbone.for_export().extract(batch), backbone.extract(batch)
    torch.testing.assert_close(found.layers["maps"], wanted.layers["maps"], rtol=1e-5, atol=1e-5)
