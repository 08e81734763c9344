"""The self-supervised backbones DINOv3 and DINOv2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from adbench import Component, hookimpl


@hookimpl
def register_components(register: Callable[[type[Component]], None]) -> None:
    from adbench_dino.dinov2 import DinoV2
    from adbench_dino.dinov3 import DinoV3

    register(DinoV3)
    register(DinoV2)


@hookimpl
def register_recipes(register: Callable[[Path], None]) -> None:
    register(Path(__file__).parent / "recipes")
