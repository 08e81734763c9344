"""Autoencoders on pixels or features, and scorers by the error of their reconstruction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from adbench import Component, hookimpl


@hookimpl
def register_components(register: Callable[[type[Component]], None]) -> None:
    from adbench_reconstruction.autoencoder import Autoencoder
    from adbench_reconstruction.pixels import Pixels
    from adbench_reconstruction.residual import Residual
    from adbench_reconstruction.ssim_residual import SsimResidual

    register(Pixels)
    register(Autoencoder)
    register(Residual)
    register(SsimResidual)


@hookimpl
def register_recipes(register: Callable[[Path], None]) -> None:
    register(Path(__file__).parent / "recipes")
