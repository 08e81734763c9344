"""The nodes of an embedded ONNX model stand in the exported file, whatever its operator set."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from adbench.api.networks.embedded import EmbeddedModel
from adbench.detector.export.embedding import has_steps
from adbench.detector.export.formats import onnx_bytes, recorded, write
from adbench.errors import UsageError

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def tiny(opset: int) -> bytes:
    """Two outputs of an image: its double, and the mean over rows and columns with a constant added."""
    make, float32 = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        make.make_node("Add", ["image", "image"], ["double"]),
        make.make_node("GlobalAveragePool", ["double"], ["pooled"]),
        make.make_node("Add", ["pooled", "bias"], ["mean"]),
    ]
    graph = make.make_graph(
        nodes,
        "tiny",
        [make.make_tensor_value_info("image", float32, ["n", 3, "h", "w"])],
        [make.make_tensor_value_info(name, float32, None) for name in ("double", "mean")],
        [make.make_tensor("bias", float32, [1], [0.5])],
    )
    return make.make_model(graph, opset_imports=[make.make_opsetid("", opset)], ir_version=8).SerializeToString()


class Around(nn.Module):
    """A graph around the model: a scaled input, and both outputs used."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        self.model = EmbeddedModel(
            content,
            "image",
            ("mean", "double"),
            lambda images: list(map(torch.from_numpy, session.run(["mean", "double"], {"image": images.numpy()}))),
        )

    def forward(self, images: Tensor) -> Tensor:
        mean, double = self.model(images / 3)
        return (double - mean).flatten(1).amax(1)


@pytest.mark.parametrize("opset", [11, 17, 18], ids=["older", "the same", "newer"])
def test_one_file_holds_both(opset: int) -> None:
    module, images = Around(tiny(opset)), torch.rand(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    wanted = module(images)
    recording = recorded(module, images, 1)
    whole = onnx.load_from_string(onnx_bytes(recording))
    assert {one.domain for one in whole.opset_import} <= {"", "ai.onnx"}
    assert sum(node.op_type == "GlobalAveragePool" for node in whole.graph.node) == 1
    session = onnxruntime.InferenceSession(whole.SerializeToString(), providers=["CPUExecutionProvider"])
    assert np.allclose(session.run(None, {"image": images.numpy()})[0], wanted.numpy(), rtol=1e-6)


def test_what_cannot_be_converted_is_a_sentence() -> None:
    module, images = Around(tiny(17)), torch.rand(1, 3, 5, 4)
    module(images)
    recording = recorded(module, images, 1)
    odd = onnx.load_from_string(tiny(11))
    odd.graph.node[0].op_type = "NoSuchOperator"
    module.model.content = odd.SerializeToString()
    with pytest.raises(UsageError, match="operator set 11 cannot be converted to 17 .*export that model anew"):
        onnx_bytes(recording)


def test_no_file_of_torch_holds_it(tmp_path) -> None:
    module, images = Around(tiny(17)), torch.rand(1, 3, 5, 4)
    module(images)
    recording = recorded(module, images, 1)
    assert has_steps(recording.program)
    with pytest.raises(UsageError, match="no file of torch can hold; take --format onnx or openvino"):
        write(recording, "torch", tmp_path / "it.pt2", {})
