"""Backbones from timm."""

from __future__ import annotations

from collections.abc import Callable

from adbench import Component, hookimpl


@hookimpl
def register_components(register: Callable[[type[Component]], None]) -> None:
    from adbench_timm.models import EfficientNetLite0, ResNet18, ResNet50, Timm, WideResNet50

    for component in (Timm, ResNet18, ResNet50, WideResNet50, EfficientNetLite0):
        register(component)
