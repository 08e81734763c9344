"""ONNX models inside an exported ONNX file: their nodes take the place of the steps that were recorded for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import torch

from adbench.api.networks.embedded import OPERATOR, EmbeddedModel
from adbench.api.networks.exports import OPSET
from adbench.errors import UsageError, printable

DOMAIN, KIND = "adbench", "Embedded"
"""Of the nodes that stand in an ONNX graph for a model, one for each of its outputs."""

PREFIX = "embedded/"
"""The beginning of the names of the model's own nodes, constants and values."""


@contextmanager
def with_steps() -> Iterator[None]:
    """Let torch's exporter write the step of an embedded model as a node of its own."""
    onnx: Any = torch.onnx

    @onnx.symbolic_helper.parse_args("v", "s", "i")  # type: ignore[untyped-decorator]
    def node(graph: Any, images: Any, key: str, number: int) -> Any:
        found = graph.op(f"{DOMAIN}::{KIND}", images, key_s=key, number_i=number)
        found.setType(graph.original_node.output().type())
        return found

    onnx.register_custom_op_symbolic(OPERATOR, node, OPSET)
    try:
        yield
    finally:
        onnx.unregister_custom_op_symbolic(OPERATOR, OPSET)


def has_steps(program: torch.export.ExportedProgram) -> bool:
    """Whether a recording has the step of an embedded model."""
    return any(OPERATOR.replace("::", ".") in str(node.target) for node in program.graph.nodes)


def with_embedded(content: bytes) -> bytes:
    """An ONNX model with the nodes of the embedded model in the place of its steps.

    Raises:
        UsageError: the embedded model is of an operator set from which no way leads to that of the file.
    """
    onnx = import_module("onnx")
    whole = onnx.load_from_string(content)
    inner = EmbeddedModel.known[_attribute(_steps(whole)[0], "key").decode()]  # a method has one backbone
    part = onnx.load_from_string(inner.content)
    del part.graph.value_info[:]  # shapes for any number of images
    newest = max(_version(whole), _version(part))
    whole, part = _converted(whole, newest), _converted(part, newest)
    _put(whole, import_module("onnx.compose").add_prefix(part, PREFIX), inner)
    result: bytes = whole.SerializeToString()
    return result


def _steps(model: Any) -> list[Any]:
    return [node for node in model.graph.node if (node.domain, node.op_type) == (DOMAIN, KIND)]


def _attribute(step: Any, name: str) -> Any:
    helper = import_module("onnx").helper
    return next(helper.get_attribute_value(one) for one in step.attribute if one.name == name)


def _version(model: Any) -> int:
    return max(int(one.version) for one in model.opset_import if one.domain in ("", "ai.onnx"))


def _converted(model: Any, version: int) -> Any:
    """A model in another operator set."""
    if _version(model) == version:
        return model
    try:
        return import_module("onnx.version_converter").convert_version(model, version)
    except Exception as error:  # noqa: BLE001 - the converter's errors have no common base
        first = printable((str(error).strip() or type(error).__name__).partition("\n")[0][:200])
        raise UsageError(
            f"the backbone's ONNX model cannot become part of the file: its operator set {_version(model)} cannot be"
            f" converted to {version} ({first}); export that model anew with operator set {version}"
        ) from None


def _put(whole: Any, part: Any, inner: EmbeddedModel) -> None:
    """Put a model's nodes before the first of its steps, and let them give what the steps gave."""
    steps, node = _steps(whole), import_module("onnx").helper.make_node
    begin = node("Identity", [steps[0].input[0]], [PREFIX + inner.image])
    outputs = [PREFIX + inner.outputs[_attribute(step, "number")] for step in steps]
    ends = [node("Identity", [name], list(step.output)) for name, step in zip(outputs, steps, strict=True)]
    graph, before = whole.graph, list(whole.graph.node).index(steps[0])
    others = [one for one in graph.node if one not in steps]
    del graph.node[:]
    graph.node.extend([*others[:before], begin, *part.graph.node, *ends, *others[before:]])
    graph.initializer.extend(part.graph.initializer)
    graph.sparse_initializer.extend(part.graph.sparse_initializer)
    whole.functions.extend(part.functions)
    kept = [one for one in whole.opset_import if one.domain != DOMAIN]
    have = {"", "ai.onnx"} | {one.domain for one in kept}
    kept += [one for one in part.opset_import if one.domain not in have]
    del whole.opset_import[:]
    whole.opset_import.extend(kept)
