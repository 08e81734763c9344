"""The backbone keeps its contract, on a small model that the test makes itself."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from adbench_onnx.backbone import Onnx
from onnx import TensorProto, helper, save

from adbench.testing import parametrize_with_checks

FOLDER = tempfile.TemporaryDirectory(prefix="adbench-onnx-")


def two_maps() -> Path:
    """A model with two outputs: the image averaged over 4x4 and 8x8 pixels."""
    pools = [
        helper.make_node("AveragePool", ["image"], ["fine"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("AveragePool", ["image"], ["coarse"], kernel_shape=[8, 8], strides=[8, 8]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["b", 3, "h", "w"])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("fine", "coarse")]
    graph = helper.make_graph(pools, "two-maps", [image], outputs)
    path = Path(FOLDER.name) / "two_maps.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


MODEL = two_maps()


@pytest.mark.slow
@parametrize_with_checks([Onnx(path=MODEL), Onnx(path=MODEL, layers=["fine"])])
def test_conforms(check):
    check()
