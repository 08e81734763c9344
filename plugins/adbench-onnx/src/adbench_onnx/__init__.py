"""A backbone for any ONNX model, on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable

from adbench import Component, hookimpl


@hookimpl
def register_components(register: Callable[[type[Component]], None]) -> None:
    """Register the backbone."""
    from adbench_onnx.backbone import Onnx

    register(Onnx)
