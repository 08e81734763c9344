"""Banks of Gaussian distributions of normal patches, and the scorer by Mahalanobis distance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from adbench import Component, hookimpl


@hookimpl
def register_components(register: Callable[[type[Component]], None]) -> None:
    from adbench_gaussian.image_mahalanobis import ImageMahalanobis
    from adbench_gaussian.mahalanobis import Mahalanobis
    from adbench_gaussian.padim import Padim
    from adbench_gaussian.prototypes import Prototypes
    from adbench_gaussian.subspace import Subspace
    from adbench_gaussian.whitened import Whitened

    register(Padim)
    register(Prototypes)
    register(Whitened)
    register(Subspace)
    register(Mahalanobis)
    register(ImageMahalanobis)


@hookimpl
def register_recipes(register: Callable[[Path], None]) -> None:
    register(Path(__file__).parent / "recipes")
